"""The 4-neighbour graph of every view's grid: its edges, its connected areas, and the similarity along each edge."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from shirg_core.budget import BudgetError
from shirg_core.constants import constant
from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast


@dataclass(frozen=True)
class GridGraph:
    """Edges between neighbouring valid tokens of one view, sorted by (lower, upper).

    Attributes:
        lower: `[E]` int64, the smaller token index of each edge.
        upper: `[E]` int64, the larger one.
        valid: `[N]` bool, False for padding.
        unassigned: `[N]` bool, valid tokens of views that are not pinned.
        areas: sizes in tokens of the connected areas of pinned and of unassigned views.
    """

    lower: Tensor
    upper: Tensor
    valid: Tensor
    unassigned: Tensor
    areas: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def unassigned_components(self) -> int:
        """Connected areas outside pinned views: the fewest regions any clustering can have there."""
        return len(self.areas[1])

    @property
    def jumps(self) -> int:
        """Pointer jumps after which every token of the largest area has found its root."""
        return max(1, math.ceil(math.log2(max(*self.areas[0], *self.areas[1], 2))))

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
        for done in range(self.jumps + 1):
            pinned, unassigned = (sum(max(1, m >> done) for m in sizes) for sizes in self.areas)
            if pinned + unassigned <= most and unassigned <= capacity:
                return done
        return self.jumps


def grid_graph(layout: ViewLayout, device: torch.device) -> GridGraph:
    """The graph of a layout; built once per layout and device."""
    lower, upper, valid, unassigned, pinned_areas, unassigned_areas = _grid_graph(layout, device)
    return GridGraph(lower, upper, valid, unassigned, (pinned_areas, unassigned_areas))


@constant
def _grid_graph(
    layout: ViewLayout, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[int, ...], tuple[int, ...]]:
    valid, pinned = layout.valid_mask(), layout.pinned_mask()
    edges = _edges(layout, valid)
    sizes: dict[bool, list[int]] = {False: [], True: []}
    for root, size in _area_sizes(edges.tolist(), valid.tolist()).items():
        sizes[bool(pinned[root])].append(size)
    lower, upper = edges.unbind(1)
    lower, upper = lower.contiguous().to(device), upper.contiguous().to(device)
    return lower, upper, valid.to(device), (valid & ~pinned).to(device), tuple(sizes[True]), tuple(sizes[False])


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
def neighbour_cosine(features: Tensor, layout: ViewLayout) -> Tensor:
    """Cosine along every edge of `grid_graph`, in its order, in float32.

    Args:
        features: `[B, N, D]`, floating. A zero vector has cosine 0 with everything.
        layout: geometry of the N tokens.

    Returns:
        `[B, E]` float32.
    """
    norm = torch.linalg.vector_norm(features.float(), dim=-1)
    across, down = [], []
    for run in layout.runs:
        grid = features[:, run.start : run.stop].unflatten(1, (run.views, run.h, run.w)).float()
        length = norm[:, run.start : run.stop].unflatten(1, (run.views, run.h, run.w))
        right = _cosine(grid[:, :, :, :-1], grid[:, :, :, 1:], length[:, :, :, :-1] * length[:, :, :, 1:])
        below = _cosine(grid[:, :, :-1], grid[:, :, 1:], length[:, :, :-1] * length[:, :, 1:])
        across.append(torch.nn.functional.pad(right, (0, 1)).flatten(1))
        down.append(torch.nn.functional.pad(below, (0, 0, 0, 1)).flatten(1))
    graph = grid_graph(layout, features.device)
    is_across = graph.upper == graph.lower + 1
    # In a one-column grid the token below is also the next index.
    is_across &= _columns(layout, features.device)[graph.lower] > 1
    return torch.where(is_across, torch.cat(across, 1)[:, graph.lower], torch.cat(down, 1)[:, graph.lower])


def _cosine(a: Tensor, b: Tensor, lengths: Tensor) -> Tensor:
    """`a·b / (‖a‖‖b‖)`; the product is clamped, not its factors: two tiny lengths would underflow to 0 / 0."""
    dot: Tensor = torch.linalg.vecdot(a, b)
    return dot / lengths.clamp_min(torch.finfo(torch.float32).tiny)


@constant
def _columns(layout: ViewLayout, device: torch.device) -> Tensor:
    """`[N]` int64, the width of the grid each token belongs to."""
    return torch.cat([torch.full((v.n_tokens,), v.w) for v in layout.views]).to(device)
