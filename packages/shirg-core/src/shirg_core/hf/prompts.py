"""The prompts that a processor wrote, checked before anything is encoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def read_prompts(inputs: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """`input_ids [B, L]`, and where they are no padding.

    Raises:
        ValueError: no ids, a mask of another shape, features instead of pixels, videos, or no pixels.
    """
    ids, mask = inputs.get("input_ids"), inputs.get("attention_mask")
    if not isinstance(ids, Tensor) or ids.dim() != 2:
        raise ValueError(f"inputs must hold input_ids [B, L], got {_said(ids)}")
    if mask is not None and (not isinstance(mask, Tensor) or mask.shape != ids.shape):
        raise ValueError(f"attention_mask must be [B, L] = {list(ids.shape)}, got {_said(mask)}")
    if inputs.get("mm_encoder_outputs"):
        raise ValueError("the inputs hold mm_encoder_outputs: their images are encoded already; give prune the pixels")
    video = next((name for name, value in inputs.items() if "video" in name and value is not None), None)
    if video:
        raise ValueError(f"videos are not pruned, and the inputs hold {video}: run the model without prune")
    if inputs.get("pixel_values") is None:
        raise ValueError(
            f"the inputs hold no pixel_values, only {', '.join(sorted(inputs))}: there is no image to prune"
        )
    return ids, torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.to(ids.device).bool()


def _said(value: object) -> str:
    return str(list(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def placeholder_id(home: Any) -> int:
    """The id that stands for one row of an image's features.

    Raises:
        ValueError: the config names none.
    """
    names = ("image_token_id", "image_token_index")
    found = next((getattr(home.config, name) for name in names if getattr(home.config, name, None) is not None), None)
    if found is None:
        raise ValueError(
            f"{type(home.config).__name__} has no image_token_id, so placeholders cannot be told from text"
        )
    return int(found)


def padding_id(model: Any, ids: Tensor, real: Tensor) -> int:
    """The id that pads the prompts, or else the model's; masked, it may be any but the placeholder's."""
    padding = ids[~real]
    if len(padding):
        return int(padding[0])
    named = model.config.get_text_config().pad_token_id
    return named if isinstance(named, int) and named >= 0 else 0
