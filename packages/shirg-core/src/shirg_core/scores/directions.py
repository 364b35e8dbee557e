"""Directions of an image's tokens, as differences to their mean: precise where all tokens share a direction.

    u_i = v_i / ‖v_i‖        m ≈ 1/n · Σ_i u_i        d_i = u_i − m        q_i = ‖d_i‖²/2

    1 − cos(v_i, v_j)  =  ‖u_i − u_j‖²/2  =  q_i + q_j − d_i·d_j

The left side cancels where cosines are near 1, as they are where one channel is a hundred times larger than the others
in every token. The right side is as precise as the tokens' spread about m, whatever m is, as long as it is the same for
all; and it is symmetric in i and j.

| symbol | variable        | shape    |
|--------|-----------------|----------|
| v      | tokens          | `[n, D]` |
| m      | mean            | `[D]`    |
| d      | (differences)   | `[n, D]` |
| q      | (half_square)   | `[n]`    |
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

SLAB_TOKENS = 128
"""Tokens worked on at a time in float64: keeps temporaries in cache."""


def mean_direction(tokens: Tensor) -> Tensor:
    """`[D]` float64, the mean of `v/‖v‖` over `tokens [n, D]`; a zero vector counts as 0."""
    sums = [_inverse(torch.linalg.vector_norm(x, dim=-1)) @ x for x in _slabs(tokens)]
    return sum(sums[1:], sums[0]) / len(tokens)


def differences(tokens: Tensor, mean: Tensor, scale: float = 1.0) -> Iterator[tuple[Tensor, Tensor]]:
    """Slab by slab, `scale · (v/‖v‖ − mean)` as `[s, D]` float64, and `[s]` bool, which tokens are zero vectors.

    Args:
        tokens: `[n, D]`, floating; read as float32.
        mean: `[D]` float64.
        scale: a factor for all differences.
    """
    centre = scale * mean
    for x in _slabs(tokens):
        length = torch.linalg.vector_norm(x, dim=-1)
        yield x.mul_((_inverse(length) * scale)[:, None]).sub_(centre), length == 0


def half_square(difference: Tensor) -> Tensor:
    """`‖d‖²/2` of `[s, D]`, `[s]`."""
    square: Tensor = torch.linalg.vector_norm(difference, dim=-1).square()
    return square / 2


def joined(slabs: list[Tensor]) -> Tensor:
    """What was made slab by slab, along the first dimension."""
    return slabs[0] if len(slabs) == 1 else torch.cat(slabs)


def _slabs(tokens: Tensor) -> Iterator[Tensor]:
    """In float64. A float32 of its own goes between, where tokens are float64."""
    slabs = tokens.split(SLAB_TOKENS) if len(tokens) > SLAB_TOKENS else (tokens,)
    return (slab.float().double() for slab in slabs)


def _inverse(length: Tensor) -> Tensor:
    """`1/length`; 0 where that is 0."""
    return length.reciprocal().nan_to_num(0.0, posinf=0.0)
