"""Spatial gradient: how fast the features change across the token grid (SHIRG-v3).

    G_i = sqrt(‖∂_row v‖² + ‖∂_col v‖²)
    ∂v at p = (v[p+1] − v[p−1]) / 2 inside,  v[p+1] − v[p] or v[p] − v[p−1] at a border,  0 where no neighbour exists

A border is the edge of a view or of its padding; differences never cross either.

| symbol | variable   | shape       |
|--------|------------|-------------|
| v      | features   | `[B, N, D]` |
| G      | (returned) | `[B, N]`    |
"""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.layout import Run, ViewLayout

SLAB_ROWS = 8


def spatial_gradient(features: Tensor, layout: ViewLayout) -> Tensor:
    """Norm of the central-difference gradient of each token, in float32.

    Args:
        features: `[B, N, D]`, floating.
        layout: geometry of the N tokens.

    Returns:
        `[B, N]` float32, ≥ 0, raw (not normalised); 0 for padding.
    """
    valid = layout.valid_mask(features.device) if layout.has_padding else None
    return torch.cat([_run_gradient(features, valid, run) for run in layout.runs], dim=1)


def _run_gradient(features: Tensor, valid: Tensor | None, run: Run) -> Tensor:
    grid = features[:, run.start : run.stop].unflatten(1, (run.views, run.h, run.w)).float()
    mask = None if valid is None else valid[run.start : run.stop].unflatten(0, (run.views, run.h, run.w))
    down = _squared_difference(grid, mask)
    across = _squared_difference(grid.transpose(2, 3), None if mask is None else mask.transpose(1, 2)).transpose(2, 3)
    return (down + across).sqrt().flatten(1)


def _squared_difference(grid: Tensor, mask: Tensor | None) -> Tensor:
    """`grid [B, V, R, C, D]`, `mask [V, R, C]` → `[B, V, R, C]`, squared norm of the difference along R."""
    rows = grid.shape[2]
    out = grid.new_zeros(grid.shape[:-1])
    if rows == 1:
        return out
    if mask is not None:
        return _masked_squared_difference(grid, mask)
    out[:, :, 0] = _distance(grid[:, :, 1], grid[:, :, 0])
    out[:, :, -1] = _distance(grid[:, :, -1], grid[:, :, -2])
    out[:, :, 1:-1] = _distance(grid[:, :, 2:], grid[:, :, :-2]) / 4
    return out


def _masked_squared_difference(grid: Tensor, mask: Tensor) -> Tensor:
    off = torch.zeros_like(mask[:, :1])
    has_next = torch.cat([mask[:, 1:], off], dim=1) & mask
    has_previous = torch.cat([off, mask[:, :-1]], dim=1) & mask
    after = torch.where(has_next[..., None], grid.roll(-1, dims=2), grid)
    before = torch.where(has_previous[..., None], grid.roll(1, dims=2), grid)
    return _distance(after, before) * torch.where(has_next & has_previous, 0.25, 1.0).to(grid.dtype)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """‖a − b‖² over the last dimension, a few grid rows at a time to keep the temporary small and in cache."""
    rows = zip(a.split(SLAB_ROWS, dim=2), b.split(SLAB_ROWS, dim=2), strict=True)
    return torch.cat([torch.linalg.vector_norm(x - y, dim=-1).square() for x, y in rows], dim=2)
