"""Images as rows of visual entries, through the model's own parts, batched and differentiable.

The same as `LavidaModel.embed_prompt` does with `views="single384"` (one view of the tower's own size), without Pillow,
and with the intermediate features that the training-only losses look at.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.scores.edges import edge_density, patch_pixels
from shirg_core.selection import Selector, gather_tokens
from shirg_lavida.model import LavidaModel
from shirg_lavida.vision.options import SelectOn
from shirg_lavida.vision.reading_order import in_reading_order
from shirg_lavida.vision.views import normalize, plan_views, to_unit

VIEWS = "single384"


@dataclass(frozen=True)
class Visual:
    """B images, N patches; T entries of the prefix, shorter rows padded on the left.

    Attributes:
        features: `[B, N, D]` of the tower.
        projected: `[B, N, d]`.
        rows: `[B, T, d]` what the language model reads: kept tokens, newlines, summary.
        valid: `[B, T]` bool, False = padding.
        columns: `[B, N]` column of every kept patch's token in `rows`, −1 for dropped ones.
    """

    features: Tensor
    projected: Tensor
    rows: Tensor
    valid: Tensor
    columns: Tensor


def see(model: LavidaModel, images: Tensor, *, train_tower: bool) -> Tensor:
    """The tower's features `[B, N, D]` of `images [B, 3, S, S]` uint8."""
    with torch.set_grad_enabled(train_tower and torch.is_grad_enabled()):
        features: Tensor = model.tower(normalize(to_unit(images))).features
    return features


def visual_rows(
    model: LavidaModel,
    images: Tensor,
    features: Tensor,
    selector: Selector | None,
    text: Tensor | None,
    on: SelectOn = "projected",
) -> Visual:
    """Project, select, and order.

    Args:
        model: whose projector and newline are used.
        images: `[B, 3, S, S]` uint8, for edges and patches.
        features: `[B, N, D]` from `see`.
        selector: None keeps every token.
        text: `[B, W, d]` embeddings of the words of each row's question; None without a question.
        on: `projected` or `pixels`, what the selector compares, see `shirg_lavida.vision.options.VisionOptions`.
    """
    size = model.config.vision.image_size
    side = model.config.vision.side
    plan = plan_views(model.config, (size, size), VIEWS, selecting=selector is not None)
    projected = model.projector(features)
    batch, count = projected.shape[:2]
    summary = None
    if selector is None:
        kept, indices = projected, torch.arange(count).expand(batch, -1)
    elif on == "pixels":
        indices = selector(patch_pixels(to_unit(images), size // side), plan.layout).indices
        kept = gather_tokens(projected, indices)
    else:
        edges = edge_density(to_unit(images), side, side)
        chosen = selector(projected, plan.layout, text=text, edges=edges)
        kept, indices, summary = chosen.kept, chosen.indices, chosen.summary
    ordered = in_reading_order(plan, "row", kept, indices, model.image_newline, summary)
    longest = max(len(row.embeddings) for row in ordered)
    padding = [longest - len(row.embeddings) for row in ordered]
    rows = torch.stack([F.pad(row.embeddings, (0, 0, n, 0)) for row, n in zip(ordered, padding, strict=True)])
    places = torch.stack([F.pad(row.places, (n, 0), value=-1) for row, n in zip(ordered, padding, strict=True)])
    return Visual(features, projected, rows, places >= 0, _columns(places, indices, plan.layout.n_tokens, side))


def _columns(places: Tensor, indices: Tensor, n_tokens: int, side: int) -> Tensor:
    # With a newline after each row of the grid, token i's place in the full sequence is i + i // side.
    wanted = indices + indices // side
    at = (places[:, None] == wanted[..., None]).int().argmax(dim=-1)
    return torch.full((len(places), n_tokens), -1).scatter(1, indices, at)
