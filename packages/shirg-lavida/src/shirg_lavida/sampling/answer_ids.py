"""An answer's ids `[B, L]`: where they start, whether they have ended, what follows the end.

B: batch, L: answer tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor


def check_ids(name: str, ids: Tensor, vocab_size: int) -> Tensor:
    """`ids` as int64, all of which can be embedded. Synchronises the device: once per call, never per step.

    Raises:
        ValueError: not integers, or an id outside the vocabulary.
    """
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise ValueError(f"{name} must be integers, got {ids.dtype}")
    ids = ids.to(torch.int64)
    wrong = ids[(ids < 0) | (ids >= vocab_size)]
    if len(wrong):
        raise ValueError(f"{name} must be in [0, {vocab_size}), got {int(wrong[0])}")
    return ids


def start_ids(
    shape: tuple[int, int], draft_ids: Tensor | None, *, mask_id: int, vocab_size: int, device: torch.device
) -> Tensor:
    """`shape = [B, L]` int64 of masks, begun with `draft_ids` `[B or 1, ≤ L]` if given.

    Raises:
        ValueError: a draft that is not a tensor, of another batch size or dtype, longer than the answer, or with ids
            outside the vocabulary.
    """
    batch, answer_length = shape
    ids = torch.full((batch, answer_length), mask_id, dtype=torch.int64, device=device)
    if draft_ids is None:
        return ids
    if not isinstance(draft_ids, Tensor):
        raise ValueError(f"draft_ids must be a tensor, got a {type(draft_ids).__name__}")
    if draft_ids.dim() != 2 or draft_ids.dtype != torch.int64 or draft_ids.shape[0] not in {1, batch}:
        raise ValueError(
            f"draft_ids must be int64 [{batch} or 1, ≤ {answer_length}], got {draft_ids.dtype} {list(draft_ids.shape)}"
        )
    if draft_ids.shape[1] > answer_length:
        raise ValueError(f"a draft of {draft_ids.shape[1]} tokens is longer than answer_length={answer_length}")
    check_ids("draft_ids", draft_ids, vocab_size)
    ids[:, : draft_ids.shape[1]] = draft_ids.to(device)
    return ids


def ended(ids: Tensor, mask_id: int, eos_id: int) -> bool:
    """Whether every row of `ids [B, L]` has an end of text with nothing masked before it. Synchronises the device."""
    return bool(_first_end(ids, mask_id, eos_id).any(dim=1).all())


def fill_after_end(ids: Tensor, mask_id: int, eos_id: int) -> Tensor:
    """`[B, L]` with `eos_id` from each row's first end of text that has nothing masked before it."""
    return ids.masked_fill(_first_end(ids, mask_id, eos_id).cumsum(dim=1) > 0, eos_id)


def _first_end(ids: Tensor, mask_id: int, eos_id: int) -> Tensor:
    return (ids == eos_id) & ((ids == mask_id).cumsum(dim=1) == 0)
