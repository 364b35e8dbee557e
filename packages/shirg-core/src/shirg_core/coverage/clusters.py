"""Clusters: connected regions of similar tokens, by Borůvka rounds on each view's 4-neighbour grid (SHIRG-v2).

    edge (a, b):  cos(v_a, v_b)          a, b neighbours in one view, neither padding
    a round:      every cluster joins the neighbouring cluster across its most similar outgoing edge
                  (ties: the smaller lower endpoint, then the smaller upper endpoint)
    the level:    per image, the first with at most max(views, ⌊share·K⌋) clusters

Each round at least halves the clusters of a connected area (Borůvka 1926), so the number of rounds is known from the
geometry and every shape is static: log₂N data-parallel rounds, no loop over tokens. Each cluster is connected, because
it is only ever joined across an edge.

All edges are ranked once by (similarity, endpoints); ranks are unique, so a round's best edge per cluster is one
scatter-minimum, and two clusters that choose each other chose the same edge: the only cycles are such pairs.

| symbol | variable     | shape       |
|--------|--------------|-------------|
| v      | features     | `[B, N, D]` |
| –      | edge cosines | `[B, E]`    |
"""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.budget import region_limit
from shirg_core.coverage.grid_graph import GridGraph, grid_graph, neighbour_cosine
from shirg_core.layout import ViewLayout


def cluster_regions(features: Tensor, layout: ViewLayout, budget: int, share: float) -> Tensor:
    """Region of every token.

    Args:
        features: `[B, N, D]`, floating.
        layout: geometry of the N tokens.
        budget: K.
        share: coverage share of the budget, in [0, 1].

    Returns:
        `[B, N]` int64, numbered from 0 in the order of each cluster's first token; −1 for padding.

    Raises:
        BudgetError: K is smaller than the number of regions that the geometry forces (a connected area each).
    """
    graph = grid_graph(layout, features.device)
    return regions_from_similarity(neighbour_cosine(features, layout), graph, layout, budget, share)


def regions_from_similarity(
    similarity: Tensor, graph: GridGraph, layout: ViewLayout, budget: int, share: float
) -> Tensor:
    """Borůvka levels from edge similarities `[B, E]`; see `cluster_regions`."""
    most, capacity = region_limit(layout, budget, share), graph.capacity(layout, budget)
    here = torch.arange(layout.n_tokens, device=similarity.device)
    label = here.expand(similarity.shape[0], -1)
    # Edges are stored by (lower, upper) endpoint, so a stable sort breaks ties as promised.
    order = similarity.argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    for _ in range(graph.rounds(most, capacity)):
        is_root = label == here
        fits = ((is_root & graph.valid).sum(1) <= most) & ((is_root & graph.unassigned).sum(1) <= capacity)
        label = torch.where(fits[:, None], label, _join(label, order, rank, graph))
    return number_by_first_token(label, graph.valid)


def _join(label: Tensor, order: Tensor, rank: Tensor, graph: GridGraph) -> Tensor:
    """One Borůvka round. `label [B, N]` names each token's cluster by one of its tokens, its root."""
    lower, upper = label[:, graph.lower], label[:, graph.upper]
    n_edges = rank.shape[1]
    outgoing = torch.where(lower != upper, rank, n_edges)
    best = torch.full_like(label, n_edges).scatter_reduce(1, lower, outgoing, "amin")
    best = best.scatter_reduce(1, upper, outgoing, "amin")
    edge = order.gather(1, best.clamp_max(n_edges - 1))
    here = torch.arange(label.shape[1], device=label.device).expand_as(label)
    other_side = lower.gather(1, edge) + upper.gather(1, edge) - here
    parent = torch.where(best < n_edges, other_side, here)
    mutual = parent.gather(1, parent) == here
    parent = torch.where(mutual, torch.minimum(parent, here), parent)
    for _ in range(graph.jumps):
        parent = parent.gather(1, parent)
    return parent.gather(1, label)


def number_by_first_token(label: Tensor, valid: Tensor) -> Tensor:
    """Clusters numbered from 0 in the order of their first token; −1 for padding."""
    here = torch.arange(label.shape[1], device=label.device).expand_as(label)
    first = here.scatter_reduce(1, label, here, "amin").gather(1, label)
    number = ((first == here) & valid).cumsum(1) - 1
    return number.gather(1, first).masked_fill(~valid, -1)
