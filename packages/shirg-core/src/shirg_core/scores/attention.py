"""Attention received: how much the other tokens of the image look at a token (SHIRG-v3).

    A_i = mean_j softmax_i( cos(v_j, v_i) / τ )          (query j, key i, over all n selectable tokens of the image)

Where tokens differ, a token looks mostly at itself and A is nearly flat; where all share a direction, every token looks
at all alike and A is flat again. Either way its information sits in the last digits of a sum close to 1. So the
deviation from flatness is computed, in a form that cancels nothing. With

    e_ij = exp((cos(v_i, v_j) − 1)/τ + s) = 1 + h_ij = e_ji,     r_i = Σ_j e_ij            (h of `scores.exponentials`)

    n·A_i − 1  =  Σ_j e_ij / r_j − Σ_j e_ij / r_i  =  1/r_i · Σ_j e_ij (r_i − r_j) / r_j

whatever the shift s is. The own term e_ii drops out of the last sum; h_ii = −1 leaves it out of all sums, and it is
added to r. A zero vector's row of the softmax is 1/n and is accounted for apart.

The N×N matrix is never held: a block of its rows is formed, gives its r_j and its part of every column's sum, and is
forgotten, so the workspace is `[QUERY_BLOCK, N]` and one copy of the features. Copies of a token get bit-equal results.

| symbol    | variable    | shape       |
|-----------|-------------|-------------|
| v         | features    | `[B, N, D]` |
| τ         | temperature | –           |
| A         | (received)  | `[B, N]`    |
| n·A − 1   | (deviation) | `[B, N]`    |
"""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast
from shirg_core.scores.exponentials import Exponentials, exponentials, row_sums, weighted_sums

QUERY_BLOCK = 256


@without_autocast
def attention_deviation(features: Tensor, layout: ViewLayout, *, temperature: float = 0.1) -> Tensor:
    """`n·A − 1`: by what share each token receives more or less attention than the average token, in float32.

    Args:
        features: `[B, N, D]`, floating; a constant of the computation.
        layout: geometry of the N tokens; padding is neither query nor key.
        temperature: τ > 0.

    Returns:
        `[B, N]` float32; sums to 0 over the selectable tokens; 0 for padding.
    """
    n, keep = layout.n_selectable, layout.valid_index(features.device)
    rows = [_deviation(exponentials(tokens, temperature), n) for tokens in _selectable(features, keep)]
    return _scatter_valid(rows, layout, keep)


def attention_received(features: Tensor, layout: ViewLayout, *, temperature: float = 0.1) -> Tensor:
    """Mean attention each token receives from the image's tokens, itself included, in float32.

    Arguments as in `attention_deviation`. Returns `[B, N]`; sums to 1 over the selectable tokens; 0 for padding.
    """
    return received_from_deviation(attention_deviation(features, layout, temperature=temperature), layout)


def received_from_deviation(deviation: Tensor, layout: ViewLayout) -> Tensor:
    """A from `n·A − 1`, `[B, N]`; 0 for padding."""
    received = (1 + deviation) / layout.n_selectable
    return received * layout.valid_mask(deviation.device) if layout.has_padding else received


def _selectable(features: Tensor, keep: Tensor | None) -> list[Tensor]:
    """Per image `[n, D]`, the selectable tokens.

    Images go one at a time: a batched product may round differently with the batch size, and a choice must not.
    """
    return list((features if keep is None else features.index_select(1, keep)).detach())


def _deviation(e: Exponentials, n: int) -> Tensor:
    """Matrices in float32; sums in float64: where most tokens are copies, only last digits tell the others apart."""
    zeros, filled = e.is_zero.sum(dtype=torch.float64), len(e.point)
    row_sum, weight_sums, products = e.own.new_empty(n), e.own.new_zeros(2), e.own.new_zeros(2, filled)
    for start in range(0, n, QUERY_BLOCK):
        rows = slice(start, min(start + QUERY_BLOCK, n))
        h = e.less_one(rows)
        h.scatter_(1, torch.arange(rows.start, rows.stop, device=h.device)[:, None], -1.0)
        total = row_sums(h) + (filled + e.own + zeros * e.for_zero)
        asks = ~e.is_zero[rows]
        weight = torch.where(asks, 1 / total, 0.0)
        weights = torch.stack([weight, asks.double()])
        row_sum[rows], weight_sums, products = total, weight_sums + weights.sum(1), products + weighted_sums(weights, h)
        del h  # before the next block is formed
    plain, column_sum = weight_sums[:, None] + products[:, :n]
    deviation = (row_sum * plain - column_sum - zeros * e.for_zero) / row_sum
    # A zero vector is equally unlike all tokens and looks at all of them alike: 1/n each.
    return (torch.where(e.is_zero, e.for_zero * weight_sums[0] - 1, deviation) + zeros / n).float()


def _scatter_valid(rows: list[Tensor], layout: ViewLayout, keep: Tensor | None) -> Tensor:
    stacked = torch.stack(rows)
    if keep is None:
        return stacked
    return stacked.new_zeros(len(rows), layout.n_tokens).index_copy(1, keep, stacked)
