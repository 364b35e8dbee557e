"""Edge density: how much drawn detail (strokes, print, plot lines) a patch holds, from pixels alone.

    Y        = 0.299·R + 0.587·G + 0.114·B                                            (Rec. 601 luma, in [0, 1])
    L(y, x)  = Y(y−1, x) + Y(y+1, x) + Y(y, x−1) + Y(y, x+1) − 4·Y(y, x)              (borders replicated)
    Edge_i   = mean over patch i of |L|                                               (in [0, 4])

With `operator="canny"` the mean is over a binary edge map instead: the share of the patch's pixels that lie on an edge
(Canny 1986; see `scores/canny.py`).

Ink recall, Σ_{i kept} Edge_i / Σ_{i selectable} Edge_i, says how much of what is drawn the kept tokens still show.

| symbol | variable   | shape                                |
|--------|------------|--------------------------------------|
| R G B  | pixels     | `[B, 3, H, W]`, or `[B, 1, H, W]` = Y |
| Edge   | (returned) | `[B, h·w]`                           |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.layout import ViewLayout
from shirg_core.scores.canny import canny_edges

EdgeOperator: TypeAlias = Literal["laplacian", "canny"]


def edge_density(pixels: Tensor, h: int, w: int, *, operator: EdgeOperator = "laplacian") -> Tensor:
    """Edge density of every patch of an `h × w` grid over the pixels, in float32.

    Args:
        pixels: `[B, 3, H, W]` RGB or `[B, 1, H, W]` luma, floating, in [0, 1]; H and W multiples of h and w.
        h: rows of patches.
        w: columns of patches.
        operator: `laplacian`, or `canny`.

    Returns:
        `[B, h·w]` float32 ≥ 0 in raster order, raw (not normalised).

    Raises:
        ValueError: wrong rank, channel count or dtype, pixels that do not divide into the grid, an unknown operator.
    """
    if pixels.dim() != 4 or pixels.shape[1] not in (1, 3):
        raise ValueError(f"pixels must be [B, 3, H, W] or [B, 1, H, W], got {list(pixels.shape)}")
    if not pixels.is_floating_point():
        raise ValueError(f"pixels must be floating point in [0, 1], got {pixels.dtype}")
    height, width = pixels.shape[2:]
    if h < 1 or w < 1 or not height or not width or height % h or width % w:
        raise ValueError(f"{height} × {width} pixels do not divide into a grid of {h} × {w} patches")
    if operator == "laplacian":
        edges = laplacian(luma(pixels)).abs()
    elif operator == "canny":
        edges = canny_edges(luma(pixels)).float()
    else:
        raise ValueError(f"operator must be laplacian or canny, got {operator!r}")
    return edges.reshape(-1, h, height // h, w, width // w).mean(dim=(2, 4)).flatten(1)


def layout_edges(pixels: Sequence[Tensor], layout: ViewLayout, *, operator: EdgeOperator = "laplacian") -> Tensor:
    """Edge density of every token of a layout, each view's crop taken by itself, in float32.

    Args:
        pixels: one `[B, 3 or 1, H_v, W_v]` tensor per view, in the layout's order.
        layout: geometry of the N tokens.
        operator: as in `edge_density`.

    Returns:
        `[B, N]` float32.

    Raises:
        ValueError: another number of crops than views, or as in `edge_density`.
    """
    if len(pixels) != len(layout.views):
        raise ValueError(f"the layout has {len(layout.views)} views, got pixels of {len(pixels)}")
    crops = zip(pixels, layout.views, strict=True)
    return torch.cat([edge_density(crop, view.h, view.w, operator=operator) for crop, view in crops], dim=1)


def ink_recall(edges: Tensor, kept: Tensor, layout: ViewLayout) -> Tensor:
    """Share of the edge mass that is kept, per image.

    Args:
        edges: `[B, N]`, edge density ≥ 0.
        kept: `[B, N]` bool.
        layout: geometry of the N tokens; padding counts on neither side.

    Returns:
        `[B]` float32 in [0, 1]; 1 for an image without edges, which has nothing to lose; NaN where an edge is.
    """
    valid = edges.float().masked_fill(~layout.valid_mask(edges.device), 0.0)
    total = valid.sum(dim=1)
    return torch.where(total == 0, 1.0, (valid * kept).sum(dim=1) / total)


def patch_pixels(pixels: Tensor, patch: int) -> Tensor:
    """`[B, C, h·patch, w·patch]` → `[B, h·w, patch²·C]`, every patch's own pixels, channels last."""
    batch, channels, height, width = pixels.shape
    tiles = pixels.reshape(batch, channels, height // patch, patch, width // patch, patch)
    return tiles.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, patch * patch * channels)


def luma(pixels: Tensor) -> Tensor:
    """`[B, 3, H, W]` RGB → `[B, 1, H, W]` Rec. 601 luma in float32; a single channel passes through."""
    if pixels.shape[1] == 1:
        return pixels.float()
    red, green, blue = pixels.float().unbind(dim=1)
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1)


def laplacian(image: Tensor) -> Tensor:
    """`[B, 1, H, W]` → 4-neighbour Laplacian of the same shape, borders replicated."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    vertical = padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1]
    horizontal = padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:]
    return vertical + horizontal - 4 * image
