"""Budgets that give way to small images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection


@dataclass(frozen=True)
class CappedBudget:
    """A selector whose budget gives way: min(K, selectable), so that a small image keeps all of its tokens."""

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
