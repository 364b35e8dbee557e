"""Pooling: every s × s square of a view's grid becomes the mean of its tokens.

    z_c = 1/|c| · Σ_{i ∈ c} v_i          ⌈h/s⌉ · ⌈w/s⌉ squares c per view, anchored at its top left

Squares at the right and bottom border may be smaller; padding is not averaged, and a square of padding only vanishes.
Tokens of pinned views are kept as they are. On an even grid this is LaViDa's pooling; on an odd one (27 × 27) LaViDa
resamples bilinearly, which no square reproduces (`shirg_lavida.vision.pooling`).

Exact K: no, the geometry decides (27 × 27 → 196, 48 × 48 → 576): it takes no budget. Needs: nothing. Cost: O(N·D).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from shirg_core.baselines.merging import merge_groups
from shirg_core.checks import integer, keep
from shirg_core.constants import constant
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection
from shirg_core.selection.assemble import without_padding
from shirg_core.selection.inputs import Inputs, check_inputs
from shirg_core.view import View


@dataclass(frozen=True)
class Pooling:
    """Average squares of tokens.

    Args:
        side: s ≥ 1, side of a square in tokens.
    """

    side: int = 2

    def __post_init__(self) -> None:
        keep(self, integer, "side", low=1)

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Merge tokens; shapes and errors as in `Selector`, regions are the squares."""
        check_inputs(features, layout, **inputs)
        first, k = pooled_groups(layout, self.side, features.device)
        return merge_groups(without_padding(features, layout), first.expand(features.shape[:2]), layout, k, "pooling")


@constant
def pooled_groups(layout: ViewLayout, side: int, device: torch.device) -> tuple[Tensor, int]:
    """`[N]` int64, the first valid token of each token's square (−1 for padding), and the number of squares."""
    valid = layout.valid_mask()
    square = torch.cat([start + _squares(v, side) for start, v in zip(layout.starts, layout.views, strict=True)])
    here = torch.arange(layout.n_tokens)
    first = torch.full_like(here, layout.n_tokens)
    first = first.scatter_reduce(0, square[valid], here[valid], "amin")[square].masked_fill(~valid, -1)
    return first.to(device), int((first == here).sum())


def _squares(view: View, side: int) -> Tensor:
    """`[h·w]` int64 below h·w, the same for tokens of one square."""
    if view.pinned:
        return torch.arange(view.n_tokens)
    rows, cols = torch.arange(view.h) // side, torch.arange(view.w) // side
    return (rows[:, None] * math.ceil(view.w / side) + cols).reshape(-1)
