"""Ink recall: how much of what is drawn on an image the kept tokens still show.

ink recall = Σ_{i kept} Edge_i / Σ_{i selectable} Edge_i
"""

from __future__ import annotations

from torch import Tensor

from shirg_core.layout import ViewLayout


def ink_recall(edges: Tensor, kept: Tensor, layout: ViewLayout) -> Tensor:
    """Share of the edge mass that is kept, per image.

    Args:
        edges: `[B, N]`, edge density ≥ 0.
        kept: `[B, N]` bool.
        layout: geometry of the N tokens; padding counts on neither side.

    Returns:
        `[B]` float32 in [0, 1]; 1 for an image without edges, which has nothing to lose.
    """
    valid = edges.float() * layout.valid_mask(edges.device)
    total = valid.sum(dim=1)
    return (valid * kept).sum(dim=1).div(total).nan_to_num(nan=1.0)
