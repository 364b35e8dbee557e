"""From a budget to the number of kept tokens, and of regions."""

from __future__ import annotations

import math
from typing import TypeAlias

from shirg_core.checks import count_or_share
from shirg_core.constants import constant
from shirg_core.layout import ViewLayout

Budget: TypeAlias = int | float


class BudgetError(ValueError):
    """A budget that a layout cannot serve: above its selectable tokens, or below what must be kept."""


def check_budget(budget: Budget) -> None:
    """Validate a budget before any layout is known.

    Raises:
        ValueError: neither an integer ≥ 1 nor a fraction in (0, 1].
    """
    count_or_share("budget", budget)


def kept_tokens(budget: Budget, layout: ViewLayout) -> int:
    """K: the count itself, or `max(1, round(budget · selectable))` for a fraction. The summary is not counted.

    Raises:
        ValueError: a malformed budget.
        BudgetError: K above the layout's selectable tokens or below its pinned ones.
    """
    number = count_or_share("budget", budget)
    refusal = _refusal(number, layout)
    if refusal:
        raise BudgetError(refusal)
    return _kept(number, layout)


# Constants of a compiled graph: K is a shape, also where N is a symbol because another layout came before.
@constant
def _kept(number: int | float, layout: ViewLayout) -> int:
    return number if isinstance(number, int) else max(1, round(number * layout.n_selectable))


@constant
def _refusal(number: int | float, layout: ViewLayout) -> str:
    """Why a layout cannot serve a budget; empty if it can. What is raised in a constant is lost in compilation."""
    k = _kept(number, layout)
    if k > layout.n_selectable:
        return f"budget K={k} is larger than the {layout.n_selectable} selectable tokens of the layout"
    if k < layout.n_pinned:
        return f"budget K={k} is smaller than the {layout.n_pinned} pinned tokens, which are always kept"
    return ""


def region_limit(layout: ViewLayout, k: int, share: float) -> int:
    """`max(views, ⌊share · K⌋)`: how many regions coverage may make, at least one per view."""
    return max(len(layout.views), math.floor(share * k))
