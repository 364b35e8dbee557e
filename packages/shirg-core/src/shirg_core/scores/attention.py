"""Attention received: how much the other tokens of the image look at a token (SHIRG-v3).

    A_i = mean_j softmax_i( cos(v_j, v_i) / τ )          (query j, key i, over all selectable tokens of the image)

The N×N matrix of cosines is never held: whole rows of the softmax are formed for a block of queries, summed into A and
forgotten, so the workspace is `[query_block, N]`.

Linear-time variants, each an approximation that says so: `queries` uses an evenly spaced subset of the queries, and
`mean_attention_received` replaces all queries by their mean direction.

| symbol | variable    | shape       |
|--------|-------------|-------------|
| v      | features    | `[B, N, D]` |
| τ      | temperature | –           |
| A      | (returned)  | `[B, N]`    |
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.layout import ViewLayout

QUERY_BLOCK = 512


def attention_received(
    features: Tensor, layout: ViewLayout, *, temperature: float = 0.1, queries: int | None = None
) -> Tensor:
    """Mean attention each token receives from the image's tokens, itself included, in float32.

    Args:
        features: `[B, N, D]`, floating.
        layout: geometry of the N tokens; padding is neither query nor key.
        temperature: τ > 0.
        queries: how many evenly spaced tokens ask; None = all of them (exact).

    Returns:
        `[B, N]` float32; sums to 1 over the selectable tokens; 0 for padding.
    """
    keep = layout.valid_index(features.device)
    return _scatter_valid([_received(x, temperature, queries) for x in _unit_tokens(features, keep)], layout, keep)


def mean_attention_received(features: Tensor, layout: ViewLayout, *, temperature: float = 0.1) -> Tensor:
    """Attention each token receives from the mean direction of all tokens: linear time, an approximation of A.

    `softmax_i( cos̄_i / τ )` with `cos̄_i = mean_j cos(v_j, v_i)`. Arguments and result as in `attention_received`.
    """
    keep = layout.valid_index(features.device)
    rows = [torch.softmax(x @ x.mean(dim=0) / temperature, dim=0) for x in _unit_tokens(features, keep)]
    return _scatter_valid(rows, layout, keep)


def _unit_tokens(features: Tensor, keep: Tensor | None) -> list[Tensor]:
    """Per image `[n, D]`, selectable tokens scaled to unit length.

    Images go one at a time: a batched product may round differently with the batch size, and a choice must not.
    """
    chosen = features if keep is None else features.index_select(1, keep)
    return [F.normalize(x.float(), dim=-1) for x in chosen]


def _received(unit: Tensor, temperature: float, queries: int | None) -> Tensor:
    n = unit.shape[0]
    asking = unit
    if queries is not None and queries < n:
        asking = unit[torch.arange(queries, device=unit.device) * n // queries]
    received = unit.new_zeros(n)
    for block in asking.split(QUERY_BLOCK):
        received += torch.softmax((block / temperature) @ unit.T, dim=1).sum(dim=0)
    return received / asking.shape[0]


def _scatter_valid(rows: list[Tensor], layout: ViewLayout, keep: Tensor | None) -> Tensor:
    stacked = torch.stack(rows)
    if keep is None:
        return stacked
    return stacked.new_zeros(len(rows), layout.n_tokens).index_copy(1, keep, stacked)
