"""A chunk of test pages, and what the tower sees of it: computed once, shared by all variants."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from shirg_bench.accuracy.variant import Source
from shirg_lavida.model import LavidaModel
from shirg_lavida.vision.views import to_unit
from shirg_train.testbed.micro.batches import MicroBatch, to_tensors
from shirg_train.testbed.micro.config import DataConfig, SizeConfig
from shirg_train.testbed.micro.visual import page_views, tower_output, views_of
from shirg_train.testbed.pages.batch import PageBatch
from shirg_train.testbed.pages.config import Split, split_seed
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokenizer import SpecialIds
from shirg_train.testbed.pages.tokens import TEMPLATES

SPLIT: Split = "test"
"""Whose pages are asked unless told otherwise; those of `valid` calibrate."""


class Encoded(NamedTuple):
    """B pages, N tokens each.

    Attributes:
        tokens: `[B, N, d]`, projected.
        pixels: `[B, V, 3, S, S]` in [0, 1], of each view, for edges.
        attention: `[B, N]`, what each token received in the tower.
    """

    tokens: Tensor
    pixels: Tensor
    attention: Tensor


def check_model(model: LavidaModel, tokenizer: Tokenizer) -> None:
    """Whether a model speaks the synthetic pages' language.

    Raises:
        ValueError: it has another vocabulary.
    """
    expected = (tokenizer.get_vocab_size(), SpecialIds.of(tokenizer).mask)
    found = (model.config.language.vocab_size, model.config.mask_token_id)
    if found != expected:
        raise ValueError(
            f"this accuracy test asks micro models (vocabulary {expected[0]}, mask id {expected[1]}); "
            f"the checkpoint has {found[0]} and {found[1]}"
        )


def draw(
    model: LavidaModel, tokenizer: Tokenizer, data: DataConfig, tier: str, pages: range, split: Split = SPLIT
) -> MicroBatch:
    """The split's pages with these numbers and their questions, as the model takes them."""
    return to_tensors(draw_pages_of(model, data, tier, pages, split), tokenizer, TEMPLATES[0])


def draw_pages_of(model: LavidaModel, data: DataConfig, tier: str, pages: range, split: Split = SPLIT) -> PageBatch:
    """The split's pages with these numbers, of the model's own size, with everything that is known about them."""
    vision = model.config.vision
    size = SizeConfig(image_size=vision.image_size, patch_size=vision.patch_size, views=views_of(model))
    return draw_pages(data.pages(size, tier), [split_seed(split, number) for number in pages])


@torch.no_grad()
def encode_pages(model: LavidaModel, images: Tensor, source: Source) -> Encoded:
    """Tower and projector over all views of pages `images [B, 3, P, P]` uint8."""
    dtype, side = model.image_newline.dtype, model.config.vision.side
    low = _resized(images, images.shape[-1] // 2)
    blurred = images if source == "page" else _resized(low, images.shape[-1])
    if source == "half":
        coarse = model.config.vision.image_size // 2 // model.config.vision.patch_size
        seen = _enlarged(_seen(model, low), coarse, side)
    elif source == "pooled":
        coarse = -(-side // 2)
        seen = _enlarged(_resampled(_seen(model, images), side, coarse, mode="area"), coarse, side)
    else:
        seen = _seen(model, blurred)
    return Encoded(model.projector(seen[..., :-1].to(dtype)), to_unit(page_views(model, blurred)), seen[..., -1])


def _seen(model: LavidaModel, images: Tensor) -> Tensor:
    """`[B, N, D + 1]`: the tower's features, and the attention received, which is resized with them."""
    seen = tower_output(model, images, attention=True)
    assert seen.attention is not None, "it was asked for"
    return torch.cat([seen.features, seen.attention[..., None].to(seen.features.dtype)], dim=-1)


def _resized(images: Tensor, side: int) -> Tensor:
    # Antialiased like a scanner's or a viewer's resize, and rounded: half-size pages are images, not tensors.
    resized = F.interpolate(images.float(), size=(side, side), mode="bicubic", antialias=True)
    return resized.round().clamp(0, 255).to(torch.uint8)


def _enlarged(features: Tensor, coarse: int, side: int) -> Tensor:
    return _resampled(features, coarse, side, mode="bilinear", align_corners=False)


def _resampled(features: Tensor, before: int, after: int, **how: Any) -> Tensor:
    """`[B, V·before², D]` → `[B, V·after², D]`, each view's grid by itself."""
    grids = features.reshape(-1, before, before, features.shape[-1]).permute(0, 3, 1, 2)
    resampled = F.interpolate(grids, size=(after, after), **how).flatten(2).transpose(1, 2)
    return resampled.reshape(len(features), -1, features.shape[-1])
