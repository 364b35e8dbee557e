"""Attention received: how much the other tokens of the image look at a token (SHIRG-v3).

    A_i = mean_j softmax_i( cos(v_j, v_i) / τ )          (query j, key i, over all n selectable tokens of the image)

Where tokens differ, a token looks mostly at itself and A is nearly flat: its information sits in the last digits of a
sum close to 1. So the deviation from flatness is computed, in a form that cancels nothing. With

    e_ij = exp((cos(v_i, v_j) − 1) / τ) = e_ji,     r_i = Σ_j e_ij

    n·A_i − 1  =  Σ_j e_ij / r_j − Σ_j e_ij / r_i  =  1/r_i · Σ_j e_ij (r_i − r_j) / r_j

(A zero vector has cosine 0 with everything, itself included; its row of the softmax is 1/n and is accounted for apart.)

The N×N matrix is never held: a block of its rows is formed, gives its r_j and its part of every column's sum, and is
forgotten, so the workspace is `[QUERY_BLOCK, N]`. Copies of a token get bit-equal results.

Linear-time variants, each an approximation that says so: `queries` uses an evenly spaced subset of the queries, and
`mean_attention_received` replaces all queries by their mean direction.

| symbol    | variable    | shape       |
|-----------|-------------|-------------|
| v         | features    | `[B, N, D]` |
| τ         | temperature | –           |
| A         | (returned)  | `[B, N]`    |
| n·A − 1   | deviation   | `[B, N]`    |
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast

QUERY_BLOCK = 256
TILE = 64


@without_autocast
def attention_deviation(features: Tensor, layout: ViewLayout, *, temperature: float = 0.1) -> Tensor:
    """`n·A − 1`: by what share each token receives more or less attention than the average token, in float32.

    Args:
        features: `[B, N, D]`, floating.
        layout: geometry of the N tokens; padding is neither query nor key.
        temperature: τ > 0.

    Returns:
        `[B, N]` float32; sums to 0 over the selectable tokens; 0 for padding.
    """
    keep = layout.valid_index(features.device)
    return _scatter_valid([_deviation(x, temperature) for x in _selectable(features, keep)], layout, keep)


@without_autocast
def attention_received(
    features: Tensor, layout: ViewLayout, *, temperature: float = 0.1, queries: int | None = None
) -> Tensor:
    """Mean attention each token receives from the image's tokens, itself included, in float32.

    Args:
        features: `[B, N, D]`, floating.
        layout: geometry of the N tokens; padding is neither query nor key.
        temperature: τ > 0.
        queries: how many evenly spaced tokens ask; None, or as many as there are = all of them (exact).

    Returns:
        `[B, N]` float32; sums to 1 over the selectable tokens; 0 for padding.
    """
    if queries is None or queries >= layout.n_selectable:
        return received_from_deviation(attention_deviation(features, layout, temperature=temperature), layout)
    keep = layout.valid_index(features.device)
    rows = [_received_from_some(x, temperature, queries) for x in _selectable(features, keep)]
    return _scatter_valid(rows, layout, keep)


def received_from_deviation(deviation: Tensor, layout: ViewLayout) -> Tensor:
    """A from `n·A − 1`, `[B, N]`; 0 for padding."""
    received = (1 + deviation) / layout.n_selectable
    return received * layout.valid_mask(deviation.device) if layout.has_padding else received


@without_autocast
def mean_attention_received(features: Tensor, layout: ViewLayout, *, temperature: float = 0.1) -> Tensor:
    """Attention each token receives from the mean direction of all tokens: linear time, an approximation of A.

    `softmax_i( cos̄_i / τ )` with `cos̄_i = mean_j cos(v_j, v_i)`. Arguments and result as in `attention_received`.
    """
    keep = layout.valid_index(features.device)
    rows = []
    for x in _selectable(features, keep):
        inverse = _inverse_length(x)
        mean_direction = inverse @ x / x.shape[0]
        rows.append(torch.softmax((x @ mean_direction) * inverse / temperature, dim=0))
    return _scatter_valid(rows, layout, keep)


def _selectable(features: Tensor, keep: Tensor | None) -> list[Tensor]:
    """Per image `[n, D]` float32, the selectable tokens.

    Images go one at a time: a batched product may round differently with the batch size, and a choice must not.
    """
    return [x.float() for x in (features if keep is None else features.index_select(1, keep))]


def _inverse_length(x: Tensor) -> Tensor:
    """`[n]`: 1 / ‖v‖, and 0 for a zero vector, whose cosine with everything is 0."""
    length = torch.linalg.vector_norm(x, dim=-1)
    return torch.where(length > 0, 1 / length, 0.0)


def _deviation(x: Tensor, temperature: float) -> Tensor:
    """Lengths are divided out of each block of products, so that no scaled copy of the features is held."""
    n = x.shape[0]
    # Matrix products round the last few rows and columns of an odd shape differently; in whole tiles copies stay equal.
    x = F.pad(x, (0, 0, 0, -n % TILE)) if n % TILE else x
    inverse = _inverse_length(x)
    is_zero = inverse == 0
    row_sum = x.new_empty(n, dtype=torch.float64)
    column_sums = x.new_zeros(2, x.shape[0])
    centre: Tensor | None = None
    for start in range(0, n, QUERY_BLOCK):
        rows = slice(start, min(start + QUERY_BLOCK, x.shape[0]))
        e = (x[rows] @ x.T).mul_(inverse).mul_(inverse[rows, None] / temperature).sub_(1 / temperature).exp_()
        # In float64, so that what is left without the token's own term, exactly 1, keeps its digits.
        own = e.gather(1, torch.arange(rows.start, rows.stop, device=x.device)[:, None])[:, 0]
        total = e[:, :n].sum(dim=1, dtype=torch.float64) - own + 1
        row_sum[start : rows.stop] = total[: n - start]
        asks = ~is_zero[rows]
        centre = (total * asks).sum() / asks.sum().clamp_min(1) if centre is None else centre
        weight = torch.where(asks, 1 / total, 0.0).float()
        column_sums += torch.stack([weight, weight * (total - centre).float()]) @ e
    assert centre is not None  # n ≥ 1: a layout has at least one selectable token
    plain, centred = column_sums[:, :n]
    # A zero vector is equally unlike all tokens and looks at all of them alike: 1/n each.
    is_zero = is_zero[:n]
    n_zero = is_zero.sum(dtype=torch.float32)
    lost = n_zero * math.exp(-1 / temperature)
    deviation = ((row_sum - centre).float() * plain - centred - lost) / row_sum.float()
    return torch.where(is_zero, plain - 1, deviation) + n_zero / n


def _received_from_some(x: Tensor, temperature: float, queries: int) -> Tensor:
    n = x.shape[0]
    inverse = _inverse_length(x)
    asking = torch.arange(min(queries, n), device=x.device) * n // min(queries, n)
    received = x.new_zeros(n)
    for block in asking.split(QUERY_BLOCK):
        cosine = (x[block] @ x.T).mul_(inverse).mul_(inverse[block, None] / temperature)
        received += torch.softmax(cosine, dim=1).sum(dim=0)
    return received / asking.shape[0]


def _scatter_valid(rows: list[Tensor], layout: ViewLayout, keep: Tensor | None) -> Tensor:
    stacked = torch.stack(rows)
    if keep is None:
        return stacked
    return stacked.new_zeros(len(rows), layout.n_tokens).index_copy(1, keep, stacked)
