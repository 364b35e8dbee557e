"""Choosing inside the language model, as FastV and RedVTP do, to compare with a choice made before it.

Newlines all stay, as every row of the full page has one; only patches are dropped. That is in their favour: at a
twelfth of a micro page the answer sees 30 entries, and 23 after a choice made before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from shirg_core.budget import check_budget
from shirg_core.checks import check_choice
from shirg_lavida.pruning.fastv import FastV
from shirg_lavida.pruning.protocol import Pruning
from shirg_lavida.pruning.rerank import Rerank

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

    @property
    def pruning(self) -> Pruning:
        """The method, for prefixes that hold every patch."""
        return FastV(self.budget, self.layer) if self.method == "fastv" else Rerank(self.budget)
