"""Cells: regions that are squares of the token grid, one side for all views, anchored at its top left (SHIRG-v3).

    s = the smallest side with  Σ_views ⌈h/s⌉·⌈w/s⌉ ≤ max(views, ⌊share·K⌋)

A cell of padding only is no region. Where pinned tokens leave too little room for one token per cell, s grows until
there is room.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from shirg_core.budget import BudgetError, region_limit
from shirg_core.constants import constant
from shirg_core.layout import ViewLayout
from shirg_core.view import View


@constant
def cell_regions(layout: ViewLayout, budget: int, share: float, device: torch.device) -> Tensor:
    """Region of every token, a function of the geometry alone.

    Args:
        layout: geometry of the N tokens.
        budget: K.
        share: coverage share of the budget, in [0, 1].
        device: where the result lives.

    Returns:
        `[N]` int64, numbered from 0 in token order without gaps; −1 for padding.

    Raises:
        BudgetError: K is smaller than the number of regions.
    """
    most = region_limit(layout, budget, share)
    largest = max(max(v.h, v.w) for v in layout.views)
    labels = torch.empty(0, dtype=torch.int64)
    for side in range(1, largest + 1):
        if sum(math.ceil(v.h / side) * math.ceil(v.w / side) for v in layout.views) > most:
            continue
        labels = _label(layout, side)
        if needed_tokens(layout, labels) <= budget:
            return labels.to(device)
    raise BudgetError(
        f"budget K={budget} is smaller than the {needed_tokens(layout, labels)} tokens that coverage needs: "
        f"{layout.n_pinned} pinned and one for each other region (one region per view at least)"
    )


def needed_tokens(layout: ViewLayout, labels: Tensor) -> int:
    """Pinned tokens plus one for each region `labels [N]` (CPU) that no pinned token covers."""
    pinned = layout.pinned_mask()
    covered = labels[pinned].unique()
    regions = labels[labels >= 0].unique()
    return int(pinned.sum()) + int((~torch.isin(regions, covered)).sum())


def _label(layout: ViewLayout, side: int) -> Tensor:
    pieces, offset = [], 0
    for view in layout.views:
        pieces.append(_view_cells(view, side) + offset)
        offset += math.ceil(view.h / side) * math.ceil(view.w / side)
    labels = torch.cat(pieces)
    valid = layout.valid_mask()
    _, compact = labels[valid].unique(return_inverse=True)
    return torch.full_like(labels, -1).masked_scatter(valid, compact)


def _view_cells(view: View, side: int) -> Tensor:
    rows, cols = torch.arange(view.h) // side, torch.arange(view.w) // side
    return (rows[:, None] * math.ceil(view.w / side) + cols).reshape(-1)
