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
from torch import Tensor

from shirg_core.layout import ViewLayout

QUERY_BLOCK = 256


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
    return _scatter_valid([_received(x, temperature, queries) for x in _selectable(features, keep)], layout, keep)


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


def _received(x: Tensor, temperature: float, queries: int | None) -> Tensor:
    """Lengths are divided out of each block of products, so that no scaled copy of the features is held."""
    n = x.shape[0]
    inverse = _inverse_length(x)
    asking = torch.arange(n, device=x.device)
    if queries is not None and queries < n:
        asking = torch.arange(queries, device=x.device) * n // queries
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
