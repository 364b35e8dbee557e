"""Which images a budget can serve, and budgets that give way to small images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection, Selector


@dataclass(frozen=True)
class CappedBudget:
    """A selector whose budget gives way: min(K, selectable), so that a small image keeps all of its tokens.

    Args:
        selector: a frozen selector with an integer `budget`.
    """

    selector: Any

    @property
    def budget(self) -> int:
        """K."""
        return int(self.selector.budget)

    def __call__(self, features: Tensor, layout: ViewLayout, **given: Any) -> Selection:
        """Choose tokens; shapes and errors as in `Selector`."""
        chosen: Selection = replace(self.selector, budget=min(self.budget, layout.n_selectable))(
            features, layout, **given
        )
        return chosen


@lru_cache(maxsize=1024)
def kept_count(selector: Selector | None, layout: ViewLayout) -> int:
    """How many tokens of a layout are kept, at most; the summary is not counted.

    Args:
        selector: None keeps all.
        layout: geometry of the tokens.

    Raises:
        BudgetError: the budget is above what the layout has, or below what must be kept of it.
    """
    if selector is None:
        return layout.n_selectable
    # Asked, not computed: each method knows best what it must keep, and that depends on the geometry alone.
    nothing = torch.zeros(1, layout.n_tokens, dtype=torch.float32)
    features, text = nothing[..., None].expand(-1, -1, 2), torch.ones(1, 1, 2, dtype=torch.float32)
    with torch.no_grad():
        chosen = selector(features, layout, text=text, text_mask=None, edges=nothing, attention=nothing + 1)
    exact = getattr(selector, "exact_k", True)
    return chosen.kept.shape[1] if exact else layout.n_selectable
