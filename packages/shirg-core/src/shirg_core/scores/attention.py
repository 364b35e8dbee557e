"""Attention received: how much the other tokens of the image look at a token (SHIRG-v3).

    A_i = mean_j softmax_i( cos(v_j, v_i) / τ )          (query j, key i, over all n selectable tokens of the image)

Where tokens differ, a token looks mostly at itself and A is nearly flat; where all share a direction, every token looks
at all alike and A is flat again. Either way its information sits in the last digits of a sum close to 1. So the
deviation from flatness is computed, in a form that cancels nothing. With

    e_ij = exp((cos(v_i, v_j) − 1)/τ + s) = 1 + h_ij = e_ji,     r_i = Σ_j e_ij            (h of `scores.exponentials`)

    n·A_i − 1  =  Σ_j e_ij / r_j − Σ_j e_ij / r_i  =  1/r_i · Σ_j e_ij (r_i − r_j) / r_j

whatever the shift s is. In float64 the middle form loses nothing, and its second sum is r_i less the own term, over
r_i. The own term e_ii drops out; h_ii = −1 leaves it out of all sums, and it is added to r. A zero vector's row of the
softmax is 1/n and is accounted for apart.

Since e is symmetric, only blocks on and above the diagonal are formed, each for its rows and its columns. r_i is
complete once block row i is formed, and a block is done with once the r of its rows and columns are known: at most 0.3
of the N×N matrix is held, and one copy of the features, of which the first tokens are freed first. Copies of a token
get bit-equal results.

| symbol    | variable    | shape       |
|-----------|-------------|-------------|
| v         | features    | `[B, N, D]` |
| τ         | temperature | –           |
| A         | (received)  | `[B, N]`    |
| n·A − 1   | (deviation) | `[B, N]`    |
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.constants import constant, number
from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast
from shirg_core.scores.exponentials import PANEL, Exponentials, exponentials
from shirg_core.scores.statistics import stacked

ROWS = 128
"""Rows of a block; larger ones multiply faster, smaller ones waste less on the diagonal."""


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
    selectable = features if keep is None else features.index_select(1, keep)
    selectable = selectable.detach() if selectable.requires_grad else selectable
    # Images go one at a time: a batched product may round differently with the batch size, and a choice must not.
    rows = [_deviation(exponentials(tokens, temperature), n) for tokens in selectable.unbind()]
    return _scatter_valid(rows, layout, keep)


def attention_received(features: Tensor, layout: ViewLayout, *, temperature: float = 0.1) -> Tensor:
    """Mean attention each token receives from the image's tokens, itself included, in float32.

    Arguments as in `attention_deviation`. Returns `[B, N]`; sums to 1 over the selectable tokens; 0 for padding.
    """
    return received_from_deviation(attention_deviation(features, layout, temperature=temperature), layout)


def received_from_deviation(deviation: Tensor, layout: ViewLayout) -> Tensor:
    """A from `n·A − 1`, `[B, N]`; 0 for padding."""
    one, n = _one_and_count(layout, deviation.device)
    received = (one + deviation) / n
    return received * layout.valid_mask(deviation.device) if layout.has_padding else received


@constant
def _one_and_count(layout: ViewLayout, device: torch.device) -> tuple[Tensor, Tensor]:
    return number(1.0, device), number(float(layout.n_selectable), device)


def _deviation(e: Exponentials, n: int) -> Tensor:
    """Matrices in float32; sums in float64: where most tokens are copies, only last digits tell the others apart."""
    size, silent, for_zeros = e.height.shape[0], e.is_zero, e.n_zero * e.for_zero
    if size > n:
        silent = F.pad(e.height.new_zeros(n, dtype=torch.bool) if silent is None else silent, (0, size - n), value=True)
    sums, row_sums, weight, products = (_one_block if size <= ROWS else _blocks)(e, e.own + size + for_zeros, silent)
    total = weight.sum()
    if size > n:
        sums, row_sums, products = sums[:n], row_sums[:n], products[:n]
    if e.is_zero is None:
        return (products + total).sub_((sums + size).div_(row_sums)).float()
    deviation = (products + total) - (sums + size + for_zeros) / row_sums
    # A zero vector is equally unlike all tokens and looks at all of them alike: 1/n each.
    return (torch.where(e.is_zero, e.for_zero * total - 1, deviation) + e.n_zero / n).float()


def _one_block(e: Exponentials, shared: Tensor | float, silent: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As `_blocks`, of so few tokens that they make one block."""
    exact = e.all_less_one().fill_diagonal_(-1.0).double()
    sums = exact.sum(1)
    row_sums = sums + shared
    weight = _weight(row_sums, silent)
    return sums, row_sums, weight, torch.mv(exact, weight)


def _weight(row_sums: Tensor, silent: Tensor | None) -> Tensor:
    weight = row_sums.reciprocal()
    return weight if silent is None else weight.masked_fill_(silent, 0.0)


def _blocks(e: Exponentials, shared: Tensor | float, silent: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`Σ_j h_ij`; r_i = that and what is `shared`; 1/r_i, or 0 where a token is `silent`; `Σ_j h_ij / r_j`: `[n']`."""
    size = e.height.shape[0]
    sums, products, row_sums, weight = e.height.new_zeros(4, size, dtype=torch.float64).unbind()
    held: list[list[tuple[int, int, Tensor]]] = [[] for _ in e.points]
    for start in range(0, size, ROWS):
        stop, own = min(start + ROWS, size), start // PANEL
        for panel in range(own, len(e.points)):
            first, end = max(start, panel * PANEL), min((panel + 1) * PANEL, size)
            h = e.less_one(slice(start, stop), slice(first, end))
            if panel == own:
                h.fill_diagonal_(-1.0)
            # The square on the diagonal serves its rows only: its columns are the same tokens.
            exact, beyond = h.double(), max(first, stop)
            sums[start:stop] += exact.sum(1)
            if beyond < end:
                sums[beyond:end] += exact[:, beyond - first :].sum(0)
            held[panel].append((start, first, h))
        row_sums[start:stop] = sums[start:stop] + shared
        weight[start:stop] = _weight(row_sums[start:stop], None if silent is None else silent[start:stop])
        if stop == min((own + 1) * PANEL, size):
            del h, exact
            for start_of, first, block in held[own]:
                rows, exact = slice(start_of, start_of + len(block)), block.double()
                products[rows] += exact @ weight[first:stop]
                if (beyond := max(first, rows.stop)) < stop:
                    products[beyond:stop] += weight[rows] @ exact[:, beyond - first :]
            held[own], e.points[own] = [], e.points[own].new_empty(0)
    return sums, row_sums, weight, products


def _scatter_valid(rows: list[Tensor], layout: ViewLayout, keep: Tensor | None) -> Tensor:
    received = stacked(rows)
    if keep is None:
        return received
    return received.new_zeros(len(rows), layout.n_tokens).index_copy(1, keep, received)
