"""The 4-neighbour graph of every view's grid: its edges, its connected areas, and the similarity along each edge."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from shirg_core.budget import BudgetError
from shirg_core.constants import constant
from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast
from shirg_core.scores.statistics import compare_pairs, feature_magnitude


class GridGraph(NamedTuple):
    """Edges between neighbouring valid tokens of one view, sorted by (lower, upper).

    Attributes:
        lower: `[E]` int64, the smaller token index of each edge.
        upper: `[E]` int64, the larger one.
        ends: `[E, 2]`, both.
        others: `[E, 2]`, the opposite ends.
        steps: `[1, 2E]` int64, 0, 0, N, N, 2N, …: where edges stand in sorted order, times N, for both of their ends.
        stays: `[1, N]` int64, what ranks behind all edges and leads to the token itself.
        valid: `[N]` bool, False for padding.
        unassigned: `[N]` bool, valid tokens of views that are not pinned.
        areas: sizes in tokens of the connected areas of pinned and of unassigned views.
    """

    lower: Tensor
    upper: Tensor
    ends: Tensor
    others: Tensor
    steps: Tensor
    stays: Tensor
    valid: Tensor
    unassigned: Tensor
    areas: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def unassigned_components(self) -> int:
        """Connected areas outside pinned views: the fewest regions any clustering can have there."""
        return len(self.areas[1])

    @property
    def most_rounds(self) -> int:
        """Rounds after which every area is one cluster."""
        return max(1, math.ceil(math.log2(self._largest_area)))

    def jumps(self, done: int) -> int:
        """Pointer jumps after which every cluster has found its root, in the round after `done` others.

        The largest area is then of at most m = max(1, ⌊area/2^done⌋) clusters, and m − 2 steps away from a pair of
        clusters that point to each other at most; the pointer itself is the first step.
        """
        return math.ceil(math.log2(max(1, (self._largest_area >> done) - 2)))

    @property
    def _largest_area(self) -> int:
        return max(*self.areas[0], *self.areas[1], 2)

    def capacity(self, layout: ViewLayout, budget: int) -> int:
        """How many regions outside pinned views K has room for.

        Raises:
            BudgetError: fewer than there must be.
        """
        needed = layout.n_pinned + self.unassigned_components
        if needed > budget:
            raise BudgetError(
                f"budget K={budget} is smaller than the {needed} tokens that coverage needs: {layout.n_pinned} pinned "
                f"and one for each of {self.unassigned_components} other regions"
            )
        return budget - layout.n_pinned

    def rounds(self, most: int, capacity: int) -> int:
        """Rounds after which at most `most` clusters, `capacity` of them unassigned, are left, or none can join.

        A round leaves an area of m clusters with at most max(1, ⌊m/2⌋).
        """
        if self.lower.numel() == 0:
            return 0
        for done in range(self.most_rounds + 1):
            pinned, unassigned = (sum(max(1, m >> done) for m in sizes) for sizes in self.areas)
            if pinned + unassigned <= most and unassigned <= capacity:
                return done
        return self.most_rounds


def grid_graph(layout: ViewLayout, device: torch.device) -> GridGraph:
    """The graph of a layout; built once per layout and device."""
    return GridGraph(*_grid_graph(layout, device))


@constant
def _grid_graph(layout: ViewLayout, device: torch.device) -> tuple[Any, ...]:
    valid, pinned = layout.valid_mask(), layout.pinned_mask()
    edges = _edges(layout, valid)
    sizes: dict[bool, list[int]] = {False: [], True: []}
    for root, size in _area_sizes(edges.tolist(), valid.tolist()).items():
        sizes[bool(pinned[root])].append(size)
    lower, upper = edges.T.contiguous().unbind()
    steps = torch.arange(len(edges)).repeat_interleave(2)[None] * layout.n_tokens
    stays = torch.arange(layout.n_tokens)[None] + len(edges) * layout.n_tokens
    tensors = lower, upper, edges, edges.flip(1), steps, stays, valid, valid & ~pinned
    return (*(each.to(device) for each in tensors), (tuple(sizes[True]), tuple(sizes[False])))


def _edges(layout: ViewLayout, valid: Tensor) -> Tensor:
    """`[E, 2]`, (lower, upper) in ascending order."""
    pieces = []
    for start, view in zip(layout.starts, layout.views, strict=True):
        grid = torch.arange(start, start + view.n_tokens).view(view.h, view.w)
        across = torch.stack([grid[:, :-1], grid[:, 1:]], dim=-1).view(-1, 2)
        down = torch.stack([grid[:-1], grid[1:]], dim=-1).view(-1, 2)
        both = torch.cat([across, down])
        pieces.append(both[(both[:, 0] * layout.n_tokens + both[:, 1]).argsort()])
    edges = torch.cat(pieces)
    return edges[valid[edges].all(dim=1)]


def _area_sizes(edges: list[list[int]], valid: list[bool]) -> dict[int, int]:
    """Size of every connected area of valid tokens, keyed by one of its tokens (union–find)."""
    parent = list(range(len(valid)))

    def root(token: int) -> int:
        while parent[token] != token:
            parent[token] = parent[parent[token]]
            token = parent[token]
        return token

    for a, b in edges:
        parent[root(b)] = root(a)
    sizes: dict[int, int] = {}
    for token, ok in enumerate(valid):
        if ok:
            sizes[root(token)] = sizes.get(root(token), 0) + 1
    return sizes


@without_autocast
def neighbour_cosine(features: Tensor, layout: ViewLayout, *, norm: Tensor | None = None) -> Tensor:
    """Cosine along every edge of `grid_graph`, in its order, in float32.

    Args:
        features: `[B, N, D]`, floating. A zero vector has cosine 0 with everything.
        layout: geometry of the N tokens.
        norm: `feature_magnitude(features)`, where it is known.

    Returns:
        `[B, E]` float32.
    """
    graph, norm = grid_graph(layout, features.device), feature_magnitude(features) if norm is None else norm
    dot = compare_pairs(features, graph.lower, graph.upper, _dot)
    # The product is clamped, not its factors: two tiny lengths would underflow to 0 / 0.
    lengths = norm.index_select(1, graph.lower) * norm.index_select(1, graph.upper)
    return dot / lengths.clamp_min(torch.finfo(torch.float32).tiny)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return a.mul_(b).sum(-1)
