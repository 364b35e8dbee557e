"""Distinctness: how few tokens of the image are near-copies of a token (SHIRG-v4).

    d_ij = 1 − cos(v_i, v_j)                     s = mean_ij d_ij, the image's own spread
    U_i  = −log( mean_j max(0, 1 − d_ij / (4·τ·s))⁴ ) / log n          in [0, 1]

The kernel is close to exp(−d/(τ·s)): only near-copies count. A token without any has U = 1; if all tokens are copies
of one, U = 0. It is the opposite of SHIRG-v3's attention, which prefers what looks like everything else (blank paper),
and needs no text, no pixels and no attention map. τ is relative to the spread because towers differ in it: the mean
1 − cos is .17 in a DINOv2 on receipts, .29 in the micro towers.

Beyond 128 channels distances are taken between sketches: û_i − mean(û) times a fixed matrix of 64 random signs, which
keeps distances within about 18 % (Achlioptas 2003, doi:10.1016/S0022-0000(03)00025-4). Blocks above the diagonal are
formed once and give both their rows' and their columns' sums, in float64: the N×N matrix is never held.

| symbol | variable   | shape       |
|--------|------------|-------------|
| v      | features   | `[B, N, D]` |
| τ      | radius     | –           |
| s      | spread     | –           |
| U      | (returned) | `[B, N]`    |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.constants import constant
from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast
from shirg_core.scores.directions import differences, joined, square
from shirg_core.scores.statistics import stacked

Count: TypeAlias = Callable[[Tensor, Tensor, int], Tensor]

RADIUS = 1 / 24
"""τ by default."""
SKETCHED_FROM = 129
"""Channels from which on distances are sketched."""
SKETCH = 64
BLOCK = 256
TILE = 64
"""Rows of a matrix product are padded to whole tiles, so that copies of a token get equal products."""


@without_autocast
def distinctness(
    features: Tensor,
    layout: ViewLayout,
    *,
    radius: float = RADIUS,
    count: Count | None = None,
) -> Tensor:
    """Distinctness of every token among its image's selectable tokens, in float32.

    Args:
        features: `[B, N, D]`, floating; a constant of the computation.
        layout: geometry of the N tokens; padding is ignored.
        radius: τ > 0, relative to the spread.
        count: what computes `count_copies`, if not PyTorch.

    Returns:
        `[B, N]` float32 in [0, 1], raw; 0 for padding and where an image has one token.
    """
    count = count_copies if count is None else count
    if not layout.has_padding:
        return stacked([_distinctness(tokens, radius, count) for tokens in features.unbind()])
    keep = layout.valid_index(features.device)
    scores = features.new_zeros(features.shape[:2], dtype=torch.float32)
    scores[:, keep] = stacked([_distinctness(tokens[keep], radius, count) for tokens in features.unbind()])
    return scores


def _distinctness(tokens: Tensor, radius: float, count: Count) -> Tensor:
    """`[n, D]` → `[n]`."""
    n = len(tokens)
    if n == 1:
        return tokens.new_zeros(1, dtype=torch.float32)
    copies = count(*_augmented(tokens, radius), n)
    return (copies / n).log_().div_(-math.log(n)).clamp_(0, 1).float()


def count_copies(left: Tensor, right: Tensor, n: int) -> Tensor:
    """`[n', r]`, `[n', r]` → `[n]` float64, Σ_j max(0, left_i · right_j)⁴, which is symmetric in i and j."""
    if n <= BLOCK:
        near = left @ right.T
        near = near if len(near) == n else near[:n, :n]
        return near.clamp_(min=0).square_().square_().sum(1, dtype=torch.float64)
    copies = left.new_zeros(n, dtype=torch.float64)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        near = left[start : start + BLOCK] @ right[start:].T
        near = near[: stop - start, : n - start].clamp_(min=0).square_().square_()
        copies[start:stop] += near.sum(1, dtype=torch.float64)
        if stop < n:
            copies[stop:] += near[:, stop - start :].sum(0, dtype=torch.float64)
    return copies


def _augmented(tokens: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Rows such that `left_i · right_j = 1 − d_ij / (4·τ·s)`, each `[n', r + 2]` in whole tiles."""
    signs = _signs(tokens.shape[1], tokens.device) if tokens.shape[1] >= SKETCHED_FROM else None
    points, spreads = [], []
    for slab, _ in differences(tokens):
        spreads.append(square(slab))
        points.append(slab.float() if signs is None else slab.float() @ signs)
    point, spread = joined(points), joined(spreads).mean()
    # All tokens alike: every distance is 0, whatever it is divided by.
    scale = (4 * radius * spread.masked_fill(spread <= 0, 1.0)).float().reciprocal()
    depth = point.square().sum(1, keepdim=True).div_(-2)
    one = torch.ones_like(depth)
    left = torch.cat([point, depth, one], dim=1).mul_(scale)
    left.select(1, -2).add_(1)
    right = torch.cat([point, one, depth], dim=1)
    if fill := -len(point) % TILE:
        left, right = F.pad(left, (0, 0, 0, fill)), F.pad(right, (0, 0, 0, fill))
    return left, right


@constant
def _signs(channels: int, device: torch.device) -> Tensor:
    """`[D, 64]` float32 of ±1/8, by a hash of row and column: the same on every device and in every version."""
    mask = 0xFFFFFFFF
    row = torch.arange(channels)[:, None] * 0x9E3779B1
    bits = (row ^ (torch.arange(SKETCH) * 0x85EBCA6B)) & mask
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        bits = ((bits ^ (bits >> shift)) * factor) & mask
    return ((bits ^ (bits >> 15)) & 1).float().mul_(2).sub_(1).div_(math.sqrt(SKETCH)).to(device)
