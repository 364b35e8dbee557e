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
from shirg_core.constants import constant
from shirg_core.coverage.grid_graph import GridGraph, grid_graph, neighbour_cosine
from shirg_core.eager import can_ask
from shirg_core.layout import ViewLayout


def cluster_regions(
    features: Tensor, layout: ViewLayout, budget: int, share: float, *, norm: Tensor | None = None
) -> Tensor:
    """Region of every token.

    Args:
        features: `[B, N, D]`, floating.
        layout: geometry of the N tokens.
        budget: K.
        share: coverage share of the budget, in [0, 1].
        norm: `feature_magnitude(features)`, where it is known.

    Returns:
        `[B, N]` int64, numbered from 0 in the order of each cluster's first token; −1 for padding.

    Raises:
        BudgetError: K is smaller than the number of regions that the geometry forces (a connected area each).
    """
    graph = grid_graph(layout, features.device)
    return regions_from_similarity(neighbour_cosine(features, layout, norm=norm), graph, layout, budget, share)


def regions_from_similarity(
    similarity: Tensor, graph: GridGraph, layout: ViewLayout, budget: int, share: float
) -> Tensor:
    """Borůvka levels from edge similarities `[B, E]`; see `cluster_regions`."""
    limits = region_limit(layout, budget, share), graph.capacity(layout, budget)
    n, edges, batch = layout.n_tokens, len(graph.lower), len(similarity)
    # Edges are stored by (lower, upper) endpoint, so a stable sort breaks ties as promised.
    order = similarity.argsort(dim=1, descending=True, stable=True).flatten()
    tokens, neighbours = (each.index_select(0, order).view(batch, 2 * edges) for each in (graph.ends, graph.others))
    here, stays, rank = _tokens(layout, order.device), graph.stays.expand(batch, n), graph.steps
    label, ends, others = here.expand(batch, n), tokens, neighbours
    # Rounds are as many as the worst image needs. A CPU can be asked whether these need them.
    asks = can_ask(order)
    for done, jumps in enumerate(_jumps(layout, budget, share)):
        if done:
            roots = label == here
            if asks and batch == 1 and not layout.n_pinned:
                if int(roots.count_nonzero()) <= _most_roots(layout, *limits):
                    break
            else:
                fits = _fits(roots, graph, layout, *limits)
                if asks and int(fits.count_nonzero()) == batch:
                    break
            ends, others = label.gather(1, tokens), label.gather(1, neighbours)
            # Behind all others, edges within a cluster.
            rank = torch.add(graph.steps, ends == others, alpha=(edges + 1) * n)
        # An edge's rank, then the cluster that it leads to, in one integer.
        parent = stays.scatter_reduce(1, ends, rank + others, "amin") % n
        # Pointers end in pairs that point to each other: the first token of the two is the root.
        root = parent
        for _ in range(jumps):
            jumped = root.gather(1, root)
            if asks and torch.equal(jumped, root):
                break
            root = jumped
        root = torch.minimum(root, parent.gather(1, root))
        if not done:
            label = root
        elif asks and batch == 1:
            label = root.gather(1, label)
        else:
            label = torch.where(fits, label, root.gather(1, label))
    return number_by_first_token(label, layout)


def _fits(is_root: Tensor, graph: GridGraph, layout: ViewLayout, most: int, capacity: int) -> Tensor:
    """`[B, 1]`, whether few enough clusters are left; padding tokens are roots, too."""
    if not layout.n_pinned:
        return is_root.sum(1, keepdim=True) <= _most_roots(layout, most, capacity)
    every, unassigned = (is_root & graph.valid).sum(1, keepdim=True), (is_root & graph.unassigned).sum(1, keepdim=True)
    return (every <= most) & (unassigned <= capacity)


def _most_roots(layout: ViewLayout, most: int, capacity: int) -> int:
    return min(most, capacity) + layout.n_tokens - layout.n_selectable


@constant
def _jumps(layout: ViewLayout, budget: int, share: float) -> tuple[int, ...]:
    """Pointer jumps of each round that an image may need."""
    graph = grid_graph(layout, torch.device("cpu"))
    rounds = graph.rounds(region_limit(layout, budget, share), graph.capacity(layout, budget))
    return tuple(graph.jumps(done) for done in range(rounds))


def number_by_first_token(label: Tensor, layout: ViewLayout) -> Tensor:
    """Clusters `label [B, N]` numbered from 0 in the order of their first token; −1 for padding."""
    here = _tokens(layout, label.device).expand_as(label)
    first = here.scatter_reduce(1, label, here, "amin").gather(1, label)
    if not layout.has_padding:
        # Token 0 is not counted, so that numbers start at 0.
        return (first == _later_tokens(layout, label.device)).cumsum(1).gather(1, first)
    valid = layout.valid_mask(label.device)
    return (((first == here) & valid).cumsum(1) - 1).gather(1, first).masked_fill(~valid, -1)


@constant
def _tokens(layout: ViewLayout, device: torch.device) -> Tensor:
    """`[1, N]` int64, 0 to N − 1."""
    return torch.arange(layout.n_tokens)[None].to(device)


@constant
def _later_tokens(layout: ViewLayout, device: torch.device) -> Tensor:
    """`[1, N]` int64, −1, then 1 to N − 1."""
    tokens = torch.arange(layout.n_tokens)[None]
    tokens[0, 0] = -1
    return tokens.to(device)
