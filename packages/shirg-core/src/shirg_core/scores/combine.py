"""The weighted sum of normalised components, on a grid that makes ties survive rounding noise.

    s_i = Σ_c w_c · ĉ_i,  rounded to the nearest multiple of 2⁻¹⁶

Two computations of a score that differ by rounding noise nearly always land on the same grid point, and equal grid
points are ranked by token index, so the choice does not hang on the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from shirg_core.constants import column, number
from shirg_core.layout import ViewLayout

SCORE_GRID = 2**16


def combine(components: Sequence[tuple[float, Tensor]], features: Tensor, layout: ViewLayout) -> Tensor:
    """Weighted sum of components, snapped to multiples of 2⁻¹⁶; padding gets the image's minimum.

    Args:
        components: `(weight, [B, N])` pairs; none at all = every token is worth the same.
        features: `[B, N, D]`, for its batch size and device.
        layout: geometry of the N tokens.

    Returns:
        `[B, N]` float32.
    """
    if not components:
        return features.new_zeros(features.shape[:2], dtype=torch.float32)
    weights, values = zip(*components, strict=True)
    return weighted_sum(weights, torch.stack([each.float() for each in values]), layout)


def weighted_sum(weights: tuple[float, ...], components: Tensor, layout: ViewLayout) -> Tensor:
    """As `combine`, of `components [C, B, N]` float32 and their C weights."""
    # In steps of the grid from the start: a power of two changes no rounding.
    terms = (components * column(tuple(w * SCORE_GRID for w in weights), components.device)).unbind()
    return _snapped(sum(terms[1:], terms[0]), layout)


def snap(scores: Tensor, layout: ViewLayout) -> Tensor:
    """Round scores `[B, N]` to multiples of 2⁻¹⁶ and give padding the image's minimum."""
    return _snapped(scores.float() * number(SCORE_GRID, scores.device), layout)


def _snapped(steps: Tensor, layout: ViewLayout) -> Tensor:
    """`[…, N]`, a score in steps of the grid, to a score on the grid."""
    snapped = steps.round() / number(SCORE_GRID, steps.device)
    if not layout.has_padding:
        return snapped
    valid = layout.valid_mask(steps.device)
    lowest = snapped.masked_fill(~valid, torch.inf).amin(-1, keepdim=True)
    return torch.where(valid, snapped, lowest)
