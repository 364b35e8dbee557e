"""Uniform grid: tokens evenly spaced over each view, blind to what they show.

    views:  K_v = ⌊K·S_{v+1}/S + ½⌋ − ⌊K·S_v/S + ½⌋         S_v = valid tokens before view v, S = all of them
    rows:   r   = H·√(K_v/n_v), rounded, ≤ K_v              equal spacing down and across; n_v valid tokens, H rows
    in row: columns ⌊(2j + 1)·c / 2k⌋, j < k                k tokens of the row's c valid ones

Rows are placed like columns and share K_v as the views share K. Where the placed rows hold too few valid tokens, more
rows are used. Pinned views keep everything, the other views share what is left.

Exact K: yes. Needs: nothing but the geometry. Cost: none after the first call of a layout.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from shirg_core.budget import Budget, check_budget
from shirg_core.constants import constant
from shirg_core.layout import ViewLayout
from shirg_core.scores import snap
from shirg_core.selection import Selection
from shirg_core.selection.assemble import keep_best, prepared
from shirg_core.selection.inputs import Inputs
from shirg_core.view import View


@dataclass(frozen=True)
class UniformGrid:
    """Keep an evenly spaced grid of each view.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
    """

    budget: Budget

    def __post_init__(self) -> None:
        check_budget(self.budget)

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Choose tokens; shapes and errors as in `Selector`. Scores are 1 for the kept tokens, 0 for the others."""
        features, k = prepared(features, layout, self.budget, inputs)
        scores = snap(uniform_mask(layout, k, features.device), layout).expand(features.shape[:2])
        return keep_best(features, layout, k, scores, "uniform")


@constant
def uniform_mask(layout: ViewLayout, k: int, device: torch.device) -> Tensor:
    """`[N]` float32, 1 for the K kept tokens."""
    unassigned = [0 if view.pinned else view.n_selectable for view in layout.views]
    shares = share_out(k - layout.n_pinned, unassigned)
    kept: list[int] = []
    for start, view, share in zip(layout.starts, layout.views, shares, strict=True):
        count = view.n_selectable if view.pinned else share
        kept += [start + token for token in spaced_tokens(view, count)]
    return torch.zeros(layout.n_tokens, dtype=torch.float32).index_fill(0, torch.tensor(kept), 1.0).to(device)


def share_out(total: int, sizes: list[int]) -> list[int]:
    """Split `total` ≤ Σ sizes in proportion to `sizes`; no part exceeds its size, and extras are spread evenly."""
    ends = itertools.accumulate(sizes, initial=0)
    size = max(sum(sizes), 1)
    marks = [(2 * total * end + size) // (2 * size) for end in ends]
    return [b - a for a, b in itertools.pairwise(marks)]


def spaced(k: int, n: int) -> list[int]:
    """K ≤ n evenly spaced positions in range(n), each at the middle of its stretch."""
    return [(2 * j + 1) * n // (2 * k) for j in range(k)]


def spaced_tokens(view: View, k: int) -> list[int]:
    """K evenly spaced valid tokens of one view, indices inside the view."""
    valid = view.valid if view.valid is not None else (True,) * view.n_tokens
    rows = [[t for t in range(r * view.w, (r + 1) * view.w) if valid[t]] for r in range(view.h)]
    rows = [row for row in rows if row]
    if k == 0:
        return []
    wanted = round(len(rows) * math.sqrt(k / view.n_selectable))
    for n_rows in range(min(max(1, wanted), k, len(rows)), len(rows) + 1):
        chosen = [rows[i] for i in spaced(n_rows, len(rows))]
        capacity = [len(row) for row in chosen]
        if sum(capacity) >= k:
            break
    shares = share_out(k, capacity)
    return [row[i] for row, share in zip(chosen, shares, strict=True) for i in spaced(share, len(row))]
