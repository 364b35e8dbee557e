"""What compressors share: the frozen tower layer by layer, squares of its grid, and attention inside each square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shirg_core.baselines.pooling import pooled_groups
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection
from shirg_lavida.model import LavidaModel
from shirg_lavida.vision.siglip import SiglipLayer
from shirg_lavida.vision.views import normalize, to_unit


def embed_patches(model: LavidaModel, images: Tensor) -> Tensor:
    """`[B, N, D]` what the tower's first layer is given, of pages `[B, 3, S, S]` uint8 that are one view each."""
    with torch.no_grad():
        patches: Tensor = model.tower.siglip.embeddings(normalize(to_unit(images)))
    return patches


def tower_layers(model: LavidaModel) -> Sequence[SiglipLayer]:
    """The tower's L − 1 layers that run."""
    return [cast("SiglipLayer", layer) for layer in model.tower.siglip.encoder.layers]


@torch.no_grad()
def layer_outputs(model: LavidaModel, images: Tensor) -> list[Tensor]:
    """`[B, N, D]` after every layer of the frozen tower."""
    hidden, outputs = embed_patches(model, images), []
    for layer in tower_layers(model):
        hidden = layer(hidden)
        outputs.append(hidden)
    return outputs


def page_layout(model: LavidaModel) -> ViewLayout:
    """Of a page that is one view."""
    side = model.config.vision.side
    return ViewLayout.single(side, side)


def squares(x: Tensor, side: int) -> Tensor:
    """`x [B, h·h, c]` → `[B, (h/s)², s², c]`: the tokens of each s × s square of the grid, both in raster order.

    Raises:
        ValueError: a grid that is not square, or that squares do not fill.
    """
    rows = round(x.shape[1] ** 0.5)
    if rows**2 != x.shape[1] or rows % side:
        raise ValueError(f"squares of {side} × {side} need a square grid that they fill, got {x.shape[1]} tokens")
    grid = x.unflatten(1, (rows // side, side, rows // side, side)).transpose(2, 3)
    inside: Tensor = grid.flatten(3, 4).flatten(1, 2)
    return inside


def on_squares(kept: Tensor, layout: ViewLayout, side: int) -> Selection:
    """Tokens `kept [B, K, d]`, one a square, each at the place of its square's first patch, as pooling puts them."""
    first, k = pooled_groups(layout, side, kept.device)
    indices = (first == torch.arange(len(first))).nonzero().flatten()
    regions = torch.searchsorted(indices, first)
    scores = torch.zeros(len(kept), len(first)).index_fill(1, indices, 1.0)
    return Selection(indices.expand(len(kept), k), scores, regions.expand(len(kept), -1), kept)


def keep_top(x: Tensor, scores: Tensor, k: int) -> Selection:
    """The K tokens of `x [B, N, d]` with the highest `scores [B, N]`; equal scores: the smaller index."""
    indices = scores.detach().argsort(dim=1, descending=True, stable=True)[:, :k].sort(dim=1).values
    kept = x.gather(1, indices[..., None].expand(-1, -1, x.shape[-1]))
    return Selection(indices, scores.detach().float(), torch.zeros_like(scores, dtype=torch.int64), kept)


def repeated(selection: Selection, times: int) -> Selection:
    """Each image's choice several times in a row, for as many questions."""
    indices, scores, regions, kept = (
        x.repeat_interleave(times, 0) for x in (selection.indices, selection.scores, selection.regions, selection.kept)
    )
    return Selection(indices, scores, regions, kept)


class SquareAttention(nn.Module):
    """Multi-head attention of one query per square to the tokens of that square only; no residual connection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """`query [B, K, D]`, `keys` and `values [B, K, s², D]` → `[B, K, D]`."""
        q = self.query(query)[:, :, None].unflatten(-1, (self.heads, -1)).transpose(2, 3)
        k, v = (
            f(x).unflatten(-1, (self.heads, -1)).transpose(2, 3) for f, x in ((self.key, keys), (self.value, values))
        )
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(mixed.transpose(2, 3).flatten(2))
        return out


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Linear, GELU, Linear."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))
