"""What a selector sees of a batch of images, and the tokens it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from shirg_core.clock import Clock, stage
from shirg_core.scores.edges import edge_density, patch_pixels
from shirg_core.selection import Selection, Selector
from shirg_lavida.checkpoint.placement import device_of
from shirg_lavida.config import LavidaConfig
from shirg_lavida.vision.options import VisionOptions, VisionPath
from shirg_lavida.vision.pooling import pool_grid
from shirg_lavida.vision.views import ViewPlan


class ImageBatch(NamedTuple):
    """B images of one plan with V views, T tokens each.

    Attributes:
        tokens: `[B, V, T, d]`, projected, or the tower's where the selector works on those.
        pixels: `[B, V, 3, S, S]` in [0, 1].
        attention: `[B, V, T]`, attention received in the tower; None unless asked.
        text: per image, `[M, d]` embeddings of its question's tokens.
    """

    tokens: Tensor
    pixels: Tensor
    attention: Tensor | None
    text: Sequence[Tensor]


class Chosen(NamedTuple):
    """What is left of a batch.

    Attributes:
        kept: `[B, K, d]`, projected.
        indices: `[B, K]` int64, ascending.
        summary: `[B, 1, d]`, projected, or None.
        selection: the selector's own result; None without a selector.
        tokens: `[B, N, d]`, every token, projected; None unless asked.
    """

    kept: Tensor
    indices: Tensor
    summary: Tensor | None
    selection: Selection | None
    tokens: Tensor | None


def project(model: VisionPath, features: Tensor) -> Tensor:
    """The model's projector, on its device."""
    projected: Tensor = model.projector(features.to(device_of(model.projector)))
    return projected


def select_tokens(
    model: VisionPath, plan: ViewPlan, options: VisionOptions, batch: ImageBatch, clock: Clock | None = None
) -> Chosen:
    """Ask the selector, or keep every unpadded token when there is none; `clock` times the selector as `select`.

    Raises:
        ValueError: what the selector refuses.
    """
    features = _tokens_of_plan(model.config, plan, batch.tokens)
    if options.selector is None:
        indices = plan.layout.valid_index(features.device)
        kept = features if indices is None else features[:, indices]
        everything = torch.arange(kept.shape[1], device=kept.device) if indices is None else indices
        return Chosen(kept, everything.expand(len(kept), -1), None, None, features if options.every_token else None)
    if options.select_on == "pixels":
        chosen = _select_on_pixels(model.config, plan, options.selector, batch.pixels, features, clock)
        return chosen._replace(tokens=features if options.every_token else None)
    text, text_mask = pad_text(batch.text) if options.select_on == "projected" else (None, None)
    attention = batch.attention
    if attention is not None:
        attention = _tokens_of_plan(model.config, plan, attention[..., None]).squeeze(-1).to(features.device)
    given: dict[str, Any] = {
        "text": None if text is None else text.to(features.device),
        "text_mask": None if text_mask is None else text_mask.to(features.device),
        "edges": _edges(model.config, plan, batch.pixels).to(features.device),
        "attention": attention,
    }
    try:
        with stage(clock, "select"):
            selection = options.selector(features, plan.layout, **given)
    except ValueError as error:
        if text is not None:
            raise
        # A selector that lacks text cannot know why, and its advice alone sends the caller astray.
        tower = options.select_on == "tower"
        cause = "select_on='tower' passes no text" if tower else "the question has no token"
        raise ValueError(f"{error} (the selector got no text: {cause})") from error
    kept, summary = selection.kept, selection.summary
    tokens = features if options.every_token else None
    if options.select_on == "tower":
        kept = project(model, kept)
        summary, tokens = (None if x is None else project(model, x) for x in (summary, tokens))
    return Chosen(kept, selection.indices, summary, selection, tokens)


def pad_text(text: Sequence[Tensor]) -> tuple[Tensor | None, Tensor | None]:
    """Stack `[M_b, d]` of B questions as `[B, M, d]` and a mask `[B, M]`; None when none has a token."""
    lengths = torch.tensor([len(t) for t in text])
    if not lengths.any():
        return None, None
    padded = nn.utils.rnn.pad_sequence(list(text), batch_first=True)
    return padded, torch.arange(padded.shape[1]) < lengths[:, None]


def _tokens_of_plan(config: LavidaConfig, plan: ViewPlan, views: Tensor) -> Tensor:
    """`[B, V, T, c]` → `[B, N, c]`: the plan's leading views pooled, the others as they are."""
    batch, n = views.shape[0], plan.pooled
    if not n:
        return views.flatten(1, 2)
    pooled = pool_grid(views[:, :n].flatten(0, 1), config.projected_side, config.pool_mode)
    return torch.cat([pooled.reshape(batch, -1, pooled.shape[-1]), views[:, n:].flatten(1, 2)], dim=1)


def _select_on_pixels(
    config: LavidaConfig, plan: ViewPlan, selector: Selector, pixels: Tensor, features: Tensor, clock: Clock | None
) -> Chosen:
    """The choice that a selector makes among patches, applied to their tokens `features [B, N, d]`.

    Raises:
        ValueError: also a selector that makes new tokens, which would be pixels.
    """
    seen, _, cell = _covered(config, pixels)
    patches = patch_pixels(seen, cell).unflatten(0, pixels.shape[:2])
    patches = _tokens_of_plan(config, plan, patches).to(features.device)
    with stage(clock, "select"):
        selection = selector(patches, plan.layout)
    if selection.summary is not None or not torch.equal(selection.kept, selection.gather(patches)):
        raise ValueError("select_on='pixels' needs a selector that neither merges nor summarises tokens")
    kept = selection.gather(features)
    return Chosen(kept, selection.indices, None, replace(selection, kept=kept), None)


def _edges(config: LavidaConfig, plan: ViewPlan, pixels: Tensor) -> Tensor:
    """`[B, N]` edge density of each token, from the pixels its view's patches cover; pooled like the tokens."""
    seen, grid, _ = _covered(config, pixels)
    density = edge_density(seen, grid, grid).unflatten(0, pixels.shape[:2])
    return _tokens_of_plan(config, plan, density[..., None]).squeeze(-1)


def _covered(config: LavidaConfig, pixels: Tensor) -> tuple[Tensor, int, int]:
    """Of `pixels [B, V, 3, S, S]` those that patches cover, `[B·V, 3, g·c, g·c]`; g patches a side, of c pixels."""
    cell = config.vision.patch_size * (config.pooler_ratio if config.projector == "pooler" else 1)
    grid = pixels.shape[-1] // cell
    return pixels.flatten(0, 1)[..., : grid * cell, : grid * cell], grid, cell
