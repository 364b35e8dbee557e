"""Choosing inside the language model, as FastV and RedVTP do, to compare with a choice made before it.

Newlines all stay, as every row of the full page has one; only patches are dropped. That is in their favour: at a
twelfth of a micro page the answer sees 30 entries, and 23 after a choice made before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from shirg_core.budget import check_budget, kept_tokens
from shirg_core.checks import check_choice
from shirg_lavida.pruning.fastv import FastV
from shirg_lavida.pruning.protocol import Pruning
from shirg_lavida.pruning.redvtp import RedVTP
from shirg_lavida.vision.reading_order import Newline, reading_order
from shirg_lavida.vision.views import ViewPlan

Method: TypeAlias = Literal["fastv", "redvtp"]


@dataclass(frozen=True)
class Late:
    """Which patches survive inside the model.

    Args:
        method: `fastv` drops in the prefill, after a layer; `redvtp` after the first denoising step.
        budget: fraction of the patches that survives, rounded as a selector's.
        layer: of `fastv`, from 1: the last one that sees every patch.

    Raises:
        ValueError: an unknown method, or no budget.
    """

    method: Method
    budget: float
    layer: int = 1

    def __post_init__(self) -> None:
        check_choice("method", self.method, get_args(Method))
        check_budget(self.budget)

    def kept(self, plan: ViewPlan) -> int:
        """K of the plan's patches."""
        return kept_tokens(self.budget, plan.layout)

    def pruning(self, patches: Tensor, plan: ViewPlan) -> Pruning:
        """The method, for prefixes whose `patches [B, P]` are True."""
        # Both take the floor of a fraction; the half keeps it clear of rounding.
        keep = min(1.0, (self.kept(plan) + 0.5) / plan.layout.n_tokens)
        return FastV(patches, keep, self.layer) if self.method == "fastv" else RedVTP(patches, keep)


def patch_entries(plan: ViewPlan, newline: Newline, shape: tuple[int, int], start: int) -> Tensor:
    """`[B, P]` bool: which entries are patches, in prefixes `[B, P]` whose whole page begins at entry `start`."""
    entries = torch.zeros(shape, dtype=torch.bool)
    entries[:, start + reading_order(plan, newline).place] = True
    return entries
