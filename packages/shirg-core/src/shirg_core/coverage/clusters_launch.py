"""Clusters: every level of the Borůvka rounds that an image may need, and how many clusters it may have."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shirg_core.budget import region_limit
from shirg_core.coverage.clusters_kernel import boruvka_kernel
from shirg_core.coverage.grid_graph import grid_graph
from shirg_core.kernels.geometry import Geometry
from shirg_core.kernels.numerics import power_of_two
from shirg_core.layout import ViewLayout

FEWEST_TOKENS, MOST_TOKENS = 128, 4096


class Levels(NamedTuple):
    """Clusterings from one token each to the coarsest that may be needed, and how many clusters are allowed.

    `extents [B, 2, V, 2]`: minimum and maximum per view of the components that were given along.
    """

    levels: Tensor
    counts: Tensor
    extents: Tensor
    most: int
    capacity: int


def cluster_levels(
    right: Tensor,
    below: Tensor,
    geo: Geometry,
    layout: ViewLayout,
    budget: int,
    share: float,
    view_a: Tensor | None = None,
    view_b: Tensor | None = None,
) -> Levels:
    """Launch the kernel; `view_a` and `view_b`: components `[B, N]` whose extents per view are wanted.

    Raises:
        BudgetError: K is smaller than the number of regions that the geometry forces (a connected area each).
    """
    graph = grid_graph(layout, right.device)
    most, capacity = region_limit(layout, budget, share), graph.capacity(layout, budget)
    rounds = graph.rounds(most, capacity)
    (batch, n), n_views = right.shape, len(layout.views)
    levels = torch.empty(batch, rounds + 1, n, dtype=torch.int32, device=right.device)
    counts = torch.empty(batch, rounds + 1, n_views, dtype=torch.int32, device=right.device)
    extents = torch.empty(batch, 2, n_views, 2, dtype=torch.float32, device=right.device)
    best = torch.empty(batch, n, dtype=torch.int64, device=right.device)
    # Not slices of one tensor: those would be aligned for some batch sizes only, and alignment is compiled in.
    parent, spare = (torch.empty(batch, n, dtype=torch.int32, device=right.device) for _ in range(2))
    block = max(FEWEST_TOKENS, power_of_two(max(v.n_tokens for v in layout.views), MOST_TOKENS))
    boruvka_kernel[(n_views, batch)](
        right, below, geo.tokens, geo.views, levels, counts, best, parent, spare, view_a, view_b, extents, n, rounds,
        BLOCK=block, num_warps=min(32, max(4, block // 128)), num_stages=1, enable_fp_fusion=False,
    )  # fmt: skip
    return Levels(levels, counts, extents, most, capacity)
