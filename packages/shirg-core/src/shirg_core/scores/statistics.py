"""Statistics of each token and of its neighbours: variance (SHIRG-v2), magnitude and spatial gradient (SHIRG-v3).

    Var(v_i) = 1/D · Σ_d (v_id − mean_d v_id)²               tokens whose channels disagree carry detail
    M_i = ‖v_i‖₂
    G_i = sqrt(‖∂_row v‖² + ‖∂_col v‖²)                      how fast the features change across the token grid
    ∂v at p = (v[p+1] − v[p−1]) / 2 inside,  v[p+1] − v[p] or v[p] − v[p−1] at a border,  0 where no neighbour exists

A border is the edge of a view or of its padding; differences never cross either. All three are float32, ≥ 0 and raw
(not normalised).

| symbol    | variable   | shape       |
|-----------|------------|-------------|
| v         | features   | `[B, N, D]` |
| Var, M, G | (returned) | `[B, N]`    |
"""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.layout import Run, ViewLayout

SLAB_TOKENS = 512
"""Tokens worked on at a time: keeps temporaries small and in cache."""
SLAB_ROWS = 8


def channel_variance(features: Tensor) -> Tensor:
    """`[B, N]`, population variance over the channels of each token of `features [B, N, D]`."""
    return torch.cat([_variance(slab.float()) for slab in features.split(SLAB_TOKENS, dim=1)], dim=1)


def _variance(x: Tensor) -> Tensor:
    # Subtracting the mean first keeps precision where |mean| is large against the spread.
    spread = x - x.mean(dim=-1, keepdim=True)
    variance: Tensor = torch.linalg.vector_norm(spread, dim=-1).square() / x.shape[-1]
    return variance


def feature_magnitude(features: Tensor) -> Tensor:
    """`[B, N]`, L2 norm of each token of `features [B, N, D]`."""
    length: Tensor = torch.linalg.vector_norm(features.float(), dim=-1)
    return length


def spatial_gradient(features: Tensor, layout: ViewLayout) -> Tensor:
    """`[B, N]`, norm of the central-difference gradient of each token of `features [B, N, D]`; 0 for padding."""
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
