"""Clusters: connected regions of similar tokens, by Borůvka rounds on each view's 4-neighbour grid (SHIRG-v2).

    edge (a, b):  cos(v_a, v_b)          a, b neighbours in one view, neither padding
    a round:      every cluster joins the neighbouring cluster across its most similar outgoing edge
                  (ties: the smaller lower endpoint, then the smaller upper endpoint)
    the level:    per image, the first with at most max(views, ⌊share·K⌋) clusters

Each round at least halves the clusters of a connected area (Borůvka 1926), so the number of rounds is known from the
geometry and every shape is static: log₂N data-parallel rounds, no loop over tokens. Each cluster is connected, because
it is only ever joined across an edge.

All edges are ranked once by (similarity, endpoints); ranks are unique, so a round's best edge per cluster is one
scatter-minimum, and two clusters that choose each other chose the same edge: the only cycles are such pairs. A cluster
is named by one of its tokens, its root.

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
    n, edges = layout.n_tokens, similarity.shape[1]
    # Edges are stored by (lower, upper) endpoint, so a stable sort breaks ties as promised.
    order = similarity.argsort(dim=1, descending=True, stable=True)
    ranks = torch.arange(0, edges * n, n, device=order.device).expand_as(order)
    rank = torch.empty_like(order).scatter_(1, order, ranks)
    rank = torch.cat([rank, rank], dim=1)
    here = torch.arange(n, device=order.device)
    label, ends, others = here.expand(len(order), n), graph.ends.expand_as(rank), graph.others.expand_as(rank)
    stays = (here + edges * n).expand_as(label)
    # Rounds are as many as the worst image needs. A CPU can be asked whether these need them.
    can_ask = order.device.type == "cpu" and type(order) is Tensor and not torch.compiler.is_compiling()
    for done in range(graph.rounds(most, capacity)):
        if done:
            fits = _fits(label == here, graph, layout, most, capacity)
            if can_ask and bool(fits.all()):
                break
            ends, others = label.index_select(1, graph.ends), label.index_select(1, graph.others)
            rank = rank.masked_fill(ends == others, (edges + 1) * n)
        # An edge's rank, then the cluster that it leads to, in one integer.
        parent = stays.scatter_reduce(1, ends, rank + others, "amin") % n
        mutual = parent.gather(1, parent) == here
        parent = torch.where(mutual, torch.minimum(parent, here), parent)
        for _ in range(graph.jumps(done)):
            parent = parent.gather(1, parent)
        if not done:
            label = parent
        elif can_ask and len(label) == 1:
            label = parent.gather(1, label)
        else:
            label = torch.where(fits, label, parent.gather(1, label))
    return number_by_first_token(label, layout)


def _fits(is_root: Tensor, graph: GridGraph, layout: ViewLayout, most: int, capacity: int) -> Tensor:
    """`[B, 1]`, whether few enough clusters are left; padding tokens are roots, too."""
    if not layout.n_pinned:
        return is_root.sum(1, keepdim=True) <= min(most, capacity) + layout.n_tokens - layout.n_selectable
    every, unassigned = (is_root & graph.valid).sum(1, keepdim=True), (is_root & graph.unassigned).sum(1, keepdim=True)
    return (every <= most) & (unassigned <= capacity)


def number_by_first_token(label: Tensor, layout: ViewLayout) -> Tensor:
    """Clusters `label [B, N]` numbered from 0 in the order of their first token; −1 for padding."""
    here = torch.arange(layout.n_tokens, device=label.device).expand_as(label)
    first = here.scatter_reduce(1, label, here, "amin").gather(1, label)
    is_first = first == here
    if not layout.has_padding:
        return (is_first.cumsum(1) - 1).gather(1, first)
    valid = layout.valid_mask(label.device)
    return ((is_first & valid).cumsum(1) - 1).gather(1, first).masked_fill(~valid, -1)
