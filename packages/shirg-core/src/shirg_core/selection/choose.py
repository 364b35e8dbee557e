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

from shirg_core.layout import ViewLayout
from shirg_core.scores.combine import SCORE_GRID

# Above any key: scores below 2²⁸ on the 2⁻¹⁶ grid times up to 2¹⁷ tokens stay below 2⁶¹.
_RESERVED = 2**61


def choose(scores: Tensor, regions: Tensor, layout: ViewLayout, k: int) -> Tensor:
    """Indices of the kept tokens.

    Args:
        scores: `[B, N]` float32 on the 2⁻¹⁶ grid.
        regions: `[B, N]` int64 in [0, N), −1 for padding. No more regions than K leaves room for.
        layout: geometry of the N tokens.
        k: K.

    Returns:
        `[B, K]` int64, unique, ascending.
    """
    batch, n = scores.shape
    lowest = torch.iinfo(torch.int64).min
    key = (scores * SCORE_GRID).round().long() * n + torch.arange(n - 1, -1, -1, device=scores.device)
    slot, valid = regions, None
    if layout.has_padding:
        valid = layout.valid_mask(scores.device)
        key, slot = key.masked_fill(~valid, lowest), regions.clamp_min(0)
    best = torch.full((batch, n), lowest, device=scores.device).scatter_reduce_(1, slot, key, "amax")
    reserved = best.gather(1, slot) == key
    if valid is not None:
        reserved &= valid
    if layout.n_pinned:
        pinned = layout.pinned_mask(scores.device)
        covered = torch.zeros_like(reserved).scatter_reduce(1, slot, pinned.expand_as(reserved), "amax")
        reserved = (reserved & ~covered.gather(1, slot)) | pinned
    return torch.add(key, reserved, alpha=_RESERVED).topk(k, dim=1).indices.sort(dim=1).values
