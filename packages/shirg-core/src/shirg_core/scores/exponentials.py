"""Exponentials of cosines between all tokens of an image, scaled to lie about 1, and less 1: small differences stay.

    w_ij = (d_i·d_j − q_i − q_j)/τ + s  =  (cos(v_i, v_j) − 1)/τ + s          (d and q of `scores.directions`)
    h_ij = exp(w_ij) − 1

s is the mean of (1 − cos)/τ, so that w lies about 0 and h is as precise as the spread of w, however small that is. It
stops at 14: what lies further from a token than 14 units weighs nothing beside the token itself.

| symbol    | variable | shape    |
|-----------|----------|----------|
| d/√τ      | point    | `[n, D]` |
| q/τ − s/2 | height   | `[n]`    |
| exp(s)    | own      | –        |
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.scores.directions import differences, half_square, mean_direction

TILE = 64
SUM_ROWS = 32
MOST_SHIFT = 14.0
CENTRE_TOKENS = 64
"""Evenly spaced tokens whose mean direction (of up to twice as many) stands for that of all."""


class Exponentials(NamedTuple):
    """Tokens such that `w_ij = point_i·point_j − height_i − height_j`, in whole tiles of rows.

    Zero vectors and rows that fill the last tile have infinite height, so that h = −1 whatever the other token is. A
    zero vector's cosine is 0 with everything, itself included, and its exp(w) `for_zero`: whoever sums h adds that.

    Attributes:
        point: `[n', D]` float32, n' ≥ n.
        height: `[n']` float32.
        is_zero: `[n]` bool.
        own: exp(s), of a token with itself; float64, as `for_zero`: exp(s − 1/τ).
        for_zero: see above.
    """

    point: Tensor
    height: Tensor
    is_zero: Tensor
    own: Tensor
    for_zero: Tensor

    def less_one(self, rows: slice | Tensor) -> Tensor:
        """`h [rows, n']` float32. No second matrix is held for the heights: the product is added onto them."""
        h = torch.add(self.height[rows, None], self.height)
        return h.addmm_(self.point[rows], self.point.T, beta=-1).expm1_()


def row_sums(h: Tensor) -> Tensor:
    """`[rows, n'] → [rows]` float64, in which −1 beside small h costs nothing; a few rows at a time, as sums copy."""
    return torch.cat([part.sum(dim=1, dtype=torch.float64) for part in h.split(SUM_ROWS)])


def weighted_sums(weights: Tensor, h: Tensor) -> Tensor:
    """`[w, rows] @ [rows, n'] → [w, n']` float64, as `row_sums`."""
    parts = zip(weights.split(SUM_ROWS, dim=1), h.split(SUM_ROWS), strict=True)
    return sum((weight @ part.double() for weight, part in parts), start=weights.new_zeros(len(weights), h.shape[1]))


def exponentials(tokens: Tensor, temperature: float) -> Exponentials:
    """Of `tokens [n, D]`, floating; τ > 0."""
    # Matrix products round the last few rows and columns of an odd shape differently; in whole tiles copies stay equal.
    n, fill = len(tokens), -len(tokens) % TILE
    point, heights, zeros, start = tokens.new_zeros(n + fill, tokens.shape[1], dtype=torch.float32), [], [], 0
    centre = mean_direction(tokens[:: max(1, n // CENTRE_TOKENS)])
    for d, is_zero in differences(tokens, centre, temperature**-0.5):
        point[start : start + len(d)] = d
        heights.append(half_square(d))
        zeros.append(is_zero)
        start += len(d)
    height, is_zero = torch.cat(heights), torch.cat(zeros)
    mean_height = height.masked_fill(is_zero, 0.0).sum() / (n - is_zero.sum()).clamp_min(1)
    shift = (2 * mean_height).clamp_max(MOST_SHIFT)
    # One rounding, after the subtraction: what heights have in common must not cost the digits in which they differ.
    height = (height - shift / 2).masked_fill(is_zero, torch.inf).float()
    height = F.pad(height, (0, fill), value=torch.inf)
    return Exponentials(point, height, is_zero, shift.exp(), (shift - 1 / temperature).exp())
