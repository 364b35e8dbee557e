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

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from shirg_core.constants import constant
from shirg_core.layout import ViewLayout

SLAB_TOKENS = 256
"""Tokens worked on at a time, or up to twice as many: keeps temporaries small; whole tiles of a product."""
SLAB_VALUES = 2**16
"""Values of each side of the pairs compared at a time, for the same reason."""


def slabs(features: Tensor) -> tuple[Tensor, ...]:
    """`features [..., N, D]` in parts to convert one by one; whole where a compiler or a GPU works on tiles."""
    n = features.shape[-2]
    if torch.compiler.is_compiling() or features.device.type != "cpu" or n < 2 * SLAB_TOKENS:
        return (features,)
    # A last part of a few rows would be multiplied by another routine, which rounds differently.
    full = n // SLAB_TOKENS - 1
    parts: tuple[Tensor, ...] = features.split([SLAB_TOKENS] * full + [n - full * SLAB_TOKENS], dim=-2)
    return parts


def by_slabs(function: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    """`function`, `[..., n, D]` float32 → `[..., n]` or `[..., n, M]`, of `features [..., N, D]`, see `slabs`."""
    parts = [function(slab.float()) for slab in slabs(features)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=features.dim() - 2)


def stacked(rows: Sequence[Tensor]) -> Tensor:
    """What was computed image by image, as a batch; without a copy if it is one image."""
    return rows[0].unsqueeze(0) if len(rows) == 1 else torch.stack(list(rows))


def channel_variance(features: Tensor) -> Tensor:
    """`[B, N]`, population variance over the channels of each token of `features [B, N, D]`."""
    return by_slabs(_variance, features)


def _variance(x: Tensor) -> Tensor:
    # Subtracting the mean first keeps precision where |mean| is large against the spread.
    spread = x - x.mean(dim=-1, keepdim=True)
    variance: Tensor = torch.linalg.vector_norm(spread, dim=-1).square() / x.shape[-1]
    return variance


def feature_magnitude(features: Tensor) -> Tensor:
    """`[B, N]` float32, L2 norm of each token of `features [B, N, D]`."""
    return by_slabs(lambda x: torch.linalg.vector_norm(x, dim=-1), features)


def spatial_gradient(features: Tensor, layout: ViewLayout) -> Tensor:
    """`[B, N]`, norm of the central-difference gradient of each token of `features [B, N, D]`; 0 for padding."""
    after, before, factor = _differences(layout, features.device)
    squares = compare_pairs(features, after, before, _distance).square().mul_(factor)
    norms: Tensor = squares.view(-1, 2, layout.n_tokens).sum(1).sqrt_()
    return norms


def compare_pairs(features: Tensor, a: Tensor, b: Tensor, compare: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """`compare(v_a, v_b)` of pairs of tokens.

    Args:
        features: `[B, N, D]`, floating.
        a: `[P]` int64, the pairs' first tokens.
        b: `[P]` int64, their second ones.
        compare: `[B, p, D]`, `[B, p, D]` float32, which it may write to → `[B, p]`.

    Returns:
        `[B, P]` float32.
    """
    batch, n, width = features.shape
    # A compiler makes its own loops, and a GPU's cache holds more.
    wide = torch.compiler.is_compiling() or features.device.type != "cpu"
    slab = n * 4 if wide else max(1, SLAB_VALUES // (batch * width))
    if len(a) <= slab:
        return compare(features.index_select(1, a).float(), features.index_select(1, b).float())
    pairs = zip(a.split(slab), b.split(slab), strict=True)
    parts = [compare(features.index_select(1, i).float(), features.index_select(1, j).float()) for i, j in pairs]
    return torch.cat(parts, dim=1)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(a.sub_(b), dim=-1)
    return length


@constant
def _differences(layout: ViewLayout, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The tokens after and before each token, `[2N]`, first down, then across; the square of the difference's factor.

    Where a neighbour is missing the token itself stands for it.
    """
    parts = []
    for axis in (0, 1):
        for start, view in zip(layout.starts, layout.views, strict=True):
            here = torch.arange(start, start + view.n_tokens).view(view.h, view.w)
            valid = layout.valid_mask()[here]
            nothing = torch.zeros_like(valid.narrow(axis, 0, 1))
            size = valid.shape[axis] - 1
            has_next = torch.cat([valid.narrow(axis, 1, size), nothing], dim=axis) & valid
            has_previous = torch.cat([nothing, valid.narrow(axis, 0, size)], dim=axis) & valid
            after = torch.where(has_next, here.roll(-1, axis), here)
            before = torch.where(has_previous, here.roll(1, axis), here)
            factor = torch.where(has_next & has_previous, 0.25, 1.0).to(torch.float32)
            parts.append((after.flatten(), before.flatten(), factor.flatten()))
    after, before, factor = (torch.cat(each).to(device) for each in zip(*parts, strict=True))
    return after, before, factor
