"""Ink recall: how much of what is drawn on an image the kept tokens still show.

ink recall = Σ_{i kept} Edge_i / Σ_{i selectable} Edge_i
"""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.layout import ViewLayout


def ink_recall(edges: Tensor, kept: Tensor, layout: ViewLayout) -> Tensor:
    """Share of the edge mass that is kept, per image.

    Args:
        edges: `[B, N]`, edge density ≥ 0.
        kept: `[B, N]` bool.
        layout: geometry of the N tokens; padding counts on neither side.

    Returns:
        `[B]` float32 in [0, 1]; 1 for an image without edges, which has nothing to lose; NaN where an edge is.
    """
    valid = edges.float().masked_fill(~layout.valid_mask(edges.device), 0.0)
    total = valid.sum(dim=1)
    return torch.where(total == 0, 1.0, (valid * kept).sum(dim=1) / total)
