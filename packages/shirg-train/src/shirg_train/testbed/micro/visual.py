"""Pages through the model's own tower, and their entries of the prefix as padded rows, batched and differentiable.

Pages are tensors of the tower's own size, one view each. The training-only losses also look at what lies between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shirg_core.selection import Selector
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.model import LavidaModel
from shirg_lavida.prompt.join import join
from shirg_lavida.vision.options import SelectOn, VisionOptions
from shirg_lavida.vision.tower import TowerOutput
from shirg_lavida.vision.views import Views, normalize, plan_views, to_unit
from shirg_lavida.vision.visual_prefix import EncodedImages, ImagePrefix, visual_prefix

VIEWS: Views = "single384"
"""One view of the tower's own size."""


@dataclass(frozen=True)
class Visual:
    """B images, N patches; T entries of the prefix, shorter rows padded on the left.

    Attributes:
        rows: `[B, T, d]` what the language model reads: kept tokens, newlines, summary.
        valid: `[B, T]` bool, False = padding.
        columns: `[B, N]` column of every kept patch's token in `rows`, −1 for dropped ones.
    """

    rows: Tensor
    valid: Tensor
    columns: Tensor


def tower_features(model: LavidaModel, images: Tensor, *, train_tower: bool) -> Tensor:
    """The tower's features `[B, N, D]` of `images [B, 3, S, S]` uint8."""
    return tower_output(model, images, train_tower=train_tower).features


def tower_output(
    model: LavidaModel, images: Tensor, *, train_tower: bool = False, attention: bool = False
) -> TowerOutput:
    """The same, and the attention `[B, N]` that each token received there, if asked."""
    with torch.set_grad_enabled(train_tower and torch.is_grad_enabled()):
        seen: TowerOutput = model.tower(normalize(to_unit(images)), attention=attention)
    return seen


def page_entries(
    model: LavidaModel,
    tokens: Tensor,
    pixels: Tensor,
    options: VisionOptions,
    text: Sequence[Tensor] | Tensor = (),
    attention: Tensor | None = None,
) -> list[ImagePrefix]:
    """Entries of the prefix of B pages of N tokens, see `shirg_lavida.vision.visual_prefix.visual_prefix`.

    Args:
        model: whose newline is used.
        tokens: `[B, N, d]`, projected.
        pixels: `[B, 3, S, S]` in [0, 1].
        options: with `views=VIEWS`.
        text: per page.
        attention: `[B, N]`, what a selector is told instead of attention of its own.
    """
    size = model.config.vision.image_size
    plan = plan_views(model.config, (size, size), options.views, selecting=options.selector is not None)
    return visual_prefix(model, EncodedImages([plan] * len(tokens), tokens, pixels, attention), options, text)


def visual_rows(
    model: LavidaModel,
    images: Tensor,
    features: Tensor,
    selector: Selector | None,
    text: Sequence[Tensor] | Tensor = (),
    on: SelectOn = "projected",
    attention: Tensor | None = None,
) -> Visual:
    """Project, select, order and pad.

    Args:
        model: whose projector and newline are used.
        images: `[B, 3, S, S]` uint8, for edges and patches.
        features: `[B, N, D]` from `tower_features`.
        selector: None keeps every token.
        text: `[B, W, d]` embeddings of the words of each row's question; empty without a question.
        on: `projected` or `pixels`, what the selector compares, see `shirg_lavida.vision.options.VisionOptions`.
        attention: `[B, N]`, see `page_entries`.
    """
    options = VisionOptions(selector, VIEWS, select_on=on)
    entries = page_entries(model, model.projector(features), to_unit(images), options, text, attention)
    # Each page a prompt of its own, whose positions are the entries' places on the full page.
    place = torch.tensor([IMAGE_TOKEN_ID])
    nothing = entries[0].embeddings[:0]
    prefix = join([place] * len(entries), [nothing] * len(entries), entries, "original")
    rows, places = prefix.embeddings, prefix.positions
    assert places is not None, "original positions are always given"
    valid = torch.ones_like(places, dtype=torch.bool) if prefix.mask is None else prefix.mask
    count = features.shape[1]
    kept = [torch.arange(count)[None] if e.selection is None else e.selection.indices for e in entries]
    indices = torch.cat(kept)
    side = model.config.vision.side
    # With a newline after each row of the grid, token i's place in the full sequence is i + i // side.
    at = (places.masked_fill(~valid, -1)[:, None] == (indices + indices // side)[..., None]).int().argmax(dim=-1)
    return Visual(rows, valid, torch.full((len(rows), count), -1).scatter(1, indices, at))
