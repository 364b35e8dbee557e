"""Exponentials of cosines between all tokens of an image, scaled to lie about 1, and less 1: small differences stay.

    w_ij = (d_i·d_j − q_i − q_j)/τ + s  =  (cos(v_i, v_j) − 1)/τ + s          (d and q of `scores.directions`)
    h_ij = exp(w_ij) − 1

s is the mean of (1 − cos)/τ, so that w lies about 0 and h is as precise as the spread of w, however small that is. It
stops at 14: what lies further from a token than 14 units weighs nothing beside the token itself.

| symbol    | variable | shape    |
|-----------|----------|----------|
| d/√τ      | points   | `[n, D]` |
| q/τ − s/2 | height   | `[n]`    |
| exp(s)    | own      | –        |
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.scores.directions import SLAB_TOKENS, differences, half_square, joined, mean_direction

TILE = 64
PANEL = SLAB_TOKENS
"""Tokens whose points lie in one tensor, so that they can be freed before the others; whole tiles."""
MOST_SHIFT = 14.0
CENTRE_TOKENS = 64
"""Evenly spaced tokens whose mean direction (of up to twice as many) stands for that of all."""


class Exponentials(NamedTuple):
    """Tokens such that `w_ij = point_i·point_j − height_i − height_j`, in whole tiles of rows.

    Zero vectors and rows that fill the last tile have infinite height, so that h = −1 whatever the other token is. A
    zero vector's cosine is 0 with everything, itself included, and its exp(w) `for_zero`: whoever sums h adds that.

    Attributes:
        points: `[n', D]` float32, n' ≥ n, in panels.
        height: `[n']` float32.
        is_zero: `[n]` bool.
        n_zero: how many are; float64.
        own: exp(s), of a token with itself; float64, as `for_zero`: exp(s − 1/τ).
        for_zero: see above.
    """

    points: list[Tensor]
    height: Tensor
    is_zero: Tensor
    n_zero: Tensor
    own: Tensor
    for_zero: Tensor

    def less_one(self, rows: slice, columns: slice) -> Tensor:
        """`h [rows, columns]` float32; either lies in one panel. The product is added onto the heights, in place."""
        h = torch.add(self.height[rows, None], self.height[columns])
        h.addmm_(self._points(rows), self._points(columns).T, beta=-1).expm1_()
        return h

    def _points(self, tokens: slice) -> Tensor:
        panel, first = divmod(tokens.start, PANEL)
        points: Tensor = self.points[panel][first : first + tokens.stop - tokens.start]
        return points


def exponentials(tokens: Tensor, temperature: float) -> Exponentials:
    """Of `tokens [n, D]`, floating; τ > 0."""
    n, points, heights, zeros = len(tokens), [], [], []
    step = n // CENTRE_TOKENS
    centre = mean_direction(tokens[::step] if step > 1 else tokens)
    for d, zero in differences(tokens, centre, temperature**-0.5):
        points.append(d.float())
        heights.append(half_square(d))
        zeros.append(zero)
    height, is_zero = joined(heights), joined(zeros)
    n_zero = is_zero.sum(dtype=torch.float64)
    mean_height = height.masked_fill(is_zero, 0.0).sum() / (n - n_zero).clamp_min(1)
    half_shift = mean_height.clamp_max(MOST_SHIFT / 2)
    # One rounding, after the subtraction: what heights have in common must not cost the digits in which they differ.
    height = (height - half_shift).masked_fill(is_zero, torch.inf).float()
    # Matrix products round the last few rows and columns of an odd shape differently; in whole tiles copies stay equal.
    if fill := -n % TILE:
        points[-1] = F.pad(points[-1], (0, 0, 0, fill))
        height = F.pad(height, (0, fill), value=torch.inf)
    shift = half_shift + half_shift
    return Exponentials(points, height, is_zero, n_zero, shift.exp(), (shift - 1 / temperature).exp())
