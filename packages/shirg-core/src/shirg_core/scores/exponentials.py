"""Exponentials of cosines between all tokens of an image, scaled to lie about 1, and less 1: small differences stay.

    w_ij = (d_i·d_j − ‖d_i‖²/2 − ‖d_j‖²/2)/τ + s  =  (cos(v_i, v_j) − 1)/τ + s          (d of `scores.directions`)
    h_ij = exp(w_ij) − 1

s is the mean of (1 − cos)/τ, so that w lies about 0 and h is as precise as the spread of w, however small that is. It
stops at 14: what lies further from a token than 14 units weighs nothing beside the token itself.

| symbol     | variable | shape    |
|------------|----------|----------|
| d/√τ       | points   | `[n, D]` |
| ‖d‖²/τ − s | height   | `[n]`    |
| exp(s)     | own      | –        |
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.scores.directions import SLAB_TOKENS, differences, joined, square

TILE = 64
PANEL = SLAB_TOKENS
"""Tokens whose points lie in one tensor, so that they can be freed before the others; whole tiles."""
MOST_SHIFT = 14.0
CENTRE_TOKENS = 64
"""Evenly spaced tokens whose mean direction (of up to twice as many) stands for that of all."""


class Exponentials(NamedTuple):
    """Tokens such that `w_ij = point_i·point_j − (height_i + height_j)/2`, in whole tiles of rows.

    Zero vectors and rows that fill the last tile have infinite height, so that h = −1 whatever the other token is. A
    zero vector's cosine is 0 with everything, itself included, and its exp(w) `for_zero`: whoever sums h adds that.

    Attributes:
        points: `[n', D]` float32, n' ≥ n, in panels.
        height: `[n']` float32.
        is_zero: `[n]` bool; None where it is known that none is.
        n_zero: how many are. This and what follows are Python's numbers where none is, else float64.
        own: exp(s), of a token with itself.
        for_zero: exp(s − 1/τ), see above.
    """

    points: list[Tensor]
    height: Tensor
    is_zero: Tensor | None
    n_zero: Tensor | float
    own: Tensor | float
    for_zero: Tensor | float

    def less_one(self, rows: slice, columns: slice) -> Tensor:
        """`h [rows, columns]` float32; either lies in one panel."""
        return _less_one(self.height[rows], self._points(rows), self.height[columns], self._points(columns))

    def all_less_one(self) -> Tensor:
        """`h [n', n']` float32, of tokens that lie in one panel."""
        return _less_one(self.height, self.points[0], self.height, self.points[0])

    def _points(self, tokens: slice) -> Tensor:
        panel, first = divmod(tokens.start, PANEL)
        points: Tensor = self.points[panel][first : first + tokens.stop - tokens.start]
        return points


def _less_one(row_height: Tensor, rows: Tensor, height: Tensor, columns: Tensor) -> Tensor:
    """The product is added onto the heights, in place."""
    h = row_height[:, None] + height
    return h.addmm_(rows, columns.T, beta=-0.5).expm1_()


def exponentials(tokens: Tensor, temperature: float) -> Exponentials:
    """Of `tokens [n, D]`, floating; τ > 0."""
    n, points, squares, zeros = len(tokens), [], [], []
    for d, zero in differences(tokens, every=max(1, n // CENTRE_TOKENS), scale=temperature**-0.5):
        points.append(d.float())
        squares.append(square(d))
        zeros.append(zero)
    height = joined(squares)
    others: tuple[Tensor | None, Tensor | float, Tensor | float, Tensor | float]
    # One rounding, after the subtraction: what heights have in common must not cost the digits in which they differ.
    if all(zero is None for zero in zeros):
        shift = min(float(height.sum()) / n, MOST_SHIFT)
        height, others = (height - shift).float(), (None, 0.0, math.exp(shift), 0.0)
    else:
        none = [torch.zeros_like(each, dtype=torch.bool) for each in squares]
        is_zero = joined([no if zero is None else zero for zero, no in zip(zeros, none, strict=True)])
        n_zero = is_zero.sum(dtype=torch.float64)
        s = (height.masked_fill(is_zero, 0.0).sum() / (n - n_zero).clamp_min(1)).clamp_max(MOST_SHIFT)
        height = (height - s).masked_fill(is_zero, torch.inf).float()
        others = (is_zero, n_zero, s.exp(), (s - 1 / temperature).exp())
    # Matrix products round the last few rows and columns of an odd shape differently; in whole tiles copies stay equal.
    if fill := -n % TILE:
        points[-1] = F.pad(points[-1], (0, 0, 0, fill))
        height = F.pad(height, (0, fill), value=torch.inf)
    return Exponentials(points, height, *others)
