"""Directions of an image's tokens, as differences to their mean: precise where all tokens share a direction.

    u_i = v_i / ‖v_i‖        m ≈ 1/n · Σ_i u_i        d_i = u_i − m

    1 − cos(v_i, v_j)  =  ‖u_i − u_j‖²/2  =  ‖d_i‖²/2 + ‖d_j‖²/2 − d_i·d_j

The left side cancels where cosines are near 1, as they are where one channel is a hundred times larger than the others
in every token. The right side is as precise as the tokens' spread about m, whatever m is, as long as it is the same for
all; and it is symmetric in i and j.

| symbol | variable        | shape    |
|--------|-----------------|----------|
| v      | tokens          | `[n, D]` |
| m      | mean            | `[D]`    |
| d      | (differences)   | `[n, D]` |
| ‖d‖²   | (square)        | `[n]`    |
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from shirg_core.eager import can_ask

SLAB_TOKENS = 128
"""Tokens worked on at a time in float64: keeps temporaries in cache."""


def mean_direction(tokens: Tensor) -> Tensor:
    """`[D]` float64, the mean of `v/‖v‖` over `tokens [n, D]`; a zero vector counts as 0."""
    sums = [_inverse_length(x)[0] @ x for x in _slabs(tokens)]
    return sum(sums[1:], sums[0]) / len(tokens)


def differences(tokens: Tensor, *, every: int = 1, scale: float = 1.0) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Slab by slab, `scale · (v/‖v‖ − m)` as `[s, D]` float64, and `[s]` bool, which tokens are zero vectors.

    None stands for the latter where it is known that none is.

    Args:
        tokens: `[n, D]`, floating; read as float32.
        every: m is the mean direction of each so manieth token.
        scale: a factor for all differences.
    """
    if len(tokens) <= SLAB_TOKENS and every == 1:
        # One slab is read once, for its mean and for the differences to it.
        (x,) = _slabs(tokens)
        inverse, is_zero = _inverse_length(x, scale)
        centre = torch.mv(x.T, inverse) / x.shape[0]
        yield x.mul_(inverse[:, None]).sub_(centre), is_zero
        return
    centre = scale * mean_direction(tokens[::every])
    for x in _slabs(tokens):
        inverse, is_zero = _inverse_length(x, scale)
        yield x.mul_(inverse[:, None]).sub_(centre), is_zero


def square(difference: Tensor) -> Tensor:
    """`‖d‖²` of `[s, D]`, `[s]`."""
    length: Tensor = torch.linalg.vector_norm(difference, dim=-1)
    return length.square()


def joined(slabs: list[Tensor]) -> Tensor:
    """What was made slab by slab, along the first dimension."""
    return slabs[0] if len(slabs) == 1 else torch.cat(slabs)


def _slabs(tokens: Tensor) -> Iterator[Tensor]:
    """In float64. A float32 of its own goes between, where tokens are float64."""
    slabs = tokens.split(SLAB_TOKENS) if len(tokens) > SLAB_TOKENS else (tokens,)
    return (slab.float().double() for slab in slabs)


def _inverse_length(tokens: Tensor, scale: float = 1.0) -> tuple[Tensor, Tensor | None]:
    """`scale/‖v‖`, or 0 where ‖v‖ is, and where that is; None where it is known to be nowhere: `[s]` each."""
    length: Tensor = torch.linalg.vector_norm(tokens, dim=-1)
    inverse, is_zero = length.reciprocal(), None
    if not can_ask(length) or int(length.count_nonzero()) < length.shape[0]:
        is_zero = length.logical_not()
        inverse = inverse.masked_fill_(is_zero, 0.0)
    return inverse if scale == 1 else inverse.mul_(scale), is_zero
