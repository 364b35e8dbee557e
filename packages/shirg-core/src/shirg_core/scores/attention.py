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

Linear-time variants, each an approximation that says so: `queries` uses an evenly spaced subset of the queries, and
`mean_attention_deviation` replaces all queries by their mean direction.

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
from shirg_core.scores.directions import differences, half_square, mean_direction
from shirg_core.scores.exponentials import Exponentials, exponentials, row_sums

QUERY_BLOCK = 256


@without_autocast
def attention_deviation(
    features: Tensor, layout: ViewLayout, *, temperature: float = 0.1, queries: int | None = None
) -> Tensor:
    """`n·A − 1`: by what share each token receives more or less attention than the average token, in float32.

    Args:
        features: `[B, N, D]`, floating; a constant of the computation.
        layout: geometry of the N tokens; padding is neither query nor key.
        temperature: τ > 0.
        queries: how many evenly spaced tokens ask; None, or as many as there are = all of them (exact).

    Returns:
        `[B, N]` float32; sums to 0 over the selectable tokens; 0 for padding.
    """
    n, keep = layout.n_selectable, layout.valid_index(features.device)
    some = None if queries is None or queries >= n else torch.arange(queries, device=features.device) * n // queries
    rows = []
    for tokens in _selectable(features, keep):
        e = exponentials(tokens, temperature)
        rows.append(_deviation(e, n) if some is None else _deviation_of_some(e, n, some))
    return _scatter_valid(rows, layout, keep)


@without_autocast
def mean_attention_deviation(features: Tensor, layout: ViewLayout, *, temperature: float = 0.1) -> Tensor:
    """`n·A − 1` with all queries replaced by their mean direction m: linear time, an approximation.

    `softmax_i( cos̄_i / τ )` with `cos̄_i = mean_j cos(v_j, v_i) = u_i·m = (1 + ‖m‖²)/2 − q_i`. Arguments and result as
    in `attention_deviation`.
    """
    keep = layout.valid_index(features.device)
    rows = []
    for tokens in _selectable(features, keep):
        mean = mean_direction(tokens)
        for_zero = (1 + mean @ mean) / 2
        parts = [torch.where(is_zero, for_zero, half_square(d)) for d, is_zero in differences(tokens, mean)]
        rows.append(torch.softmax(-torch.cat(parts) / temperature, dim=0).mul_(len(tokens)).sub_(1).float())
    return _scatter_valid(rows, layout, keep)


def attention_received(
    features: Tensor, layout: ViewLayout, *, temperature: float = 0.1, queries: int | None = None
) -> Tensor:
    """Mean attention each token receives from the image's tokens, itself included, in float32.

    Arguments as in `attention_deviation`. Returns `[B, N]`; sums to 1 over the selectable tokens; 0 for padding.
    """
    deviation = attention_deviation(features, layout, temperature=temperature, queries=queries)
    return received_from_deviation(deviation, layout)


def mean_attention_received(features: Tensor, layout: ViewLayout, *, temperature: float = 0.1) -> Tensor:
    """A from `mean_attention_deviation`; arguments and result as in `attention_received`."""
    return received_from_deviation(mean_attention_deviation(features, layout, temperature=temperature), layout)


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
    """Matrices in float32; row sums, and whatever is subtracted, in float64."""
    zeros, filled = e.is_zero.sum(dtype=torch.float64), len(e.point)
    row_sum, weight_sums, products = e.own.new_empty(n), e.own.new_zeros(2), e.point.new_zeros(2, filled)
    centre: Tensor | None = None
    for start in range(0, n, QUERY_BLOCK):
        rows = slice(start, min(start + QUERY_BLOCK, n))
        h = e.less_one(rows)
        h.scatter_(1, torch.arange(rows.start, rows.stop, device=h.device)[:, None], -1.0)
        total = row_sums(h) + (filled + e.own + zeros * e.for_zero)
        asks = ~e.is_zero[rows]
        centre = (total * asks).sum() / asks.sum().clamp_min(1) if centre is None else centre
        weight = torch.where(asks, 1 / total, 0.0)
        weights = torch.stack([weight, weight * (total - centre)])
        row_sum[rows], weight_sums, products = total, weight_sums + weights.sum(1), products + weights.float() @ h
        del h  # before the next block is formed
    assert centre is not None  # n ≥ 1: a layout has at least one selectable token
    plain, centred = weight_sums[:, None] + products[:, :n]
    deviation = ((row_sum - centre) * plain - centred - zeros * e.for_zero) / row_sum
    # A zero vector is equally unlike all tokens and looks at all of them alike: 1/n each.
    return (torch.where(e.is_zero, e.for_zero * weight_sums[0] - 1, deviation) + zeros / n).float()


def _deviation_of_some(e: Exponentials, n: int, asking: Tensor) -> Tensor:
    """`n·A_i − 1 = 1/Q · Σ_j (n·e_ij − r_j)/r_j` over Q queries; `n·e_ij − r_j = n·h_ij − Σ_k h_jk`."""
    zeros, filled = e.is_zero.sum(dtype=torch.float64), len(e.point)
    weight_sum, excess_sum, product = e.own.new_zeros(()), e.own.new_zeros(()), e.point.new_zeros(filled)
    for rows in asking.split(QUERY_BLOCK):
        h = e.less_one(rows)
        h.scatter_(1, rows[:, None], (e.own - 1).float().expand(len(rows), 1))
        excess = row_sums(h) + (filled - n + zeros * e.for_zero)
        weight = torch.where(e.is_zero[rows], 0.0, 1 / (n + excess))
        product = product + weight.float() @ h
        weight_sum, excess_sum = weight_sum + weight.sum(), excess_sum + (weight * excess).sum()
        del h
    plain = torch.where(e.is_zero, (e.for_zero - 1) * weight_sum, product[:n])
    return ((n * plain - excess_sum) / len(asking)).float()


def _scatter_valid(rows: list[Tensor], layout: ViewLayout, keep: Tensor | None) -> Tensor:
    stacked = torch.stack(rows)
    if keep is None:
        return stacked
    return stacked.new_zeros(len(rows), layout.n_tokens).index_copy(1, keep, stacked)
