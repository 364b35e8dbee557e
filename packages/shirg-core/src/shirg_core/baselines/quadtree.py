"""Quadtree: alike tokens are one averaged token at their centre, busy places keep single ones.

    z_b = 1/|b| · Σ_{i ∈ b} v_i          for each of K blocks b of a quadtree over every view (`coverage.quadtree`)

A block's index, and so its position, is that of the token at its centre. Tokens of pinned views are kept as they are.

Exact K: yes; every place of the image is in a block. Needs: features only. Cost: O(N·D).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from shirg_core.baselines.merging import merge_groups, own_groups
from shirg_core.budget import Budget, check_budget
from shirg_core.coverage.quadtree import quadtree_blocks
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection
from shirg_core.selection.assemble import prepared
from shirg_core.selection.inputs import Inputs


@dataclass(frozen=True)
class Quadtree:
    """Average the blocks of a quadtree.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
    """

    budget: Budget

    def __post_init__(self) -> None:
        check_budget(self.budget)

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Merge tokens; shapes and errors as in `Selector`, regions are the blocks.

        Raises:
            ValueError: also when K is below the number of pinned tokens and of the other views.
        """
        features, k = prepared(features, layout, self.budget, inputs)
        with torch.no_grad():
            centre = quadtree_blocks(features, layout, k - layout.n_pinned)
            own = own_groups(layout, features.device)
            stand_in = torch.where(layout.pinned_mask(features.device), own, centre)
        return merge_groups(features, stand_in, layout, k, "quadtree")
