"""From scores and regions to exactly K indices.

    1. every valid pinned token,
    2. the best token of every region,
    3. the best of the rest until K are found,
    best = score descending, then index ascending; the result is sorted by index.

Scores lie on the 2⁻¹⁶ grid (`scores.combine.snap`), so score and index pack into one integer per token without ties:

    key_i = round(s_i · 2¹⁶) · N + (N − 1 − i)
"""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.constants import constant, number
from shirg_core.layout import ViewLayout
from shirg_core.scores.combine import SCORE_GRID

# Above any key: scores below 2²⁸ on the 2⁻¹⁶ grid times up to 2¹⁷ tokens stay below 2⁶¹.
_RESERVED = 2**61
_LOWEST = -(2**63)


def choose(scores: Tensor, regions: Tensor | None, layout: ViewLayout, k: int) -> Tensor:
    """Indices of the kept tokens.

    Args:
        scores: `[B, N]` float32 on the 2⁻¹⁶ grid.
        regions: `[B, N]` int64 in [0, N), −1 for padding. No more regions than K leaves room for. None = one region.
        layout: geometry of the N tokens.
        k: K.

    Returns:
        `[B, K]` int64, unique, ascending.
    """
    steps = (scores * number(SCORE_GRID, scores.device)).long()
    key = torch.add(_descending(layout, scores.device), steps, alpha=layout.n_tokens)
    if layout.has_padding:
        key = key.masked_fill(~layout.valid_mask(scores.device), _LOWEST)
    reserved = _reserved(key, regions, layout)
    if reserved is not None:
        key = torch.add(key, reserved, alpha=_RESERVED)
    return key.topk(k, dim=1, sorted=False).indices.sort(dim=1).values


def _reserved(key: Tensor, regions: Tensor | None, layout: ViewLayout) -> Tensor | None:
    """Which tokens are kept whatever the others' scores, `[B, N]` or `[N]` bool; None = none but the best."""
    pinned = layout.pinned_mask(key.device) if layout.n_pinned else None
    if regions is None:
        return pinned
    slot = regions.clamp_min(0) if layout.has_padding else regions
    best = torch.full_like(key, _LOWEST).scatter_reduce_(1, slot, key, "amax")
    reserved = best.gather(1, slot) == key
    if layout.has_padding:
        reserved &= layout.valid_mask(key.device)
    if pinned is None:
        return reserved
    covered = torch.zeros_like(reserved).scatter_reduce(1, slot, pinned.expand_as(reserved), "amax")
    return (reserved & ~covered.gather(1, slot)) | pinned


@constant
def _descending(layout: ViewLayout, device: torch.device) -> Tensor:
    """`[1, N]` int64, N − 1 to 0."""
    return torch.arange(layout.n_tokens - 1, -1, -1)[None].to(device)
