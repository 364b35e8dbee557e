"""From a budget to the number of kept tokens."""

from __future__ import annotations

from typing import TypeAlias

from shirg_core.layout import ViewLayout

Budget: TypeAlias = int | float


def check_budget(budget: Budget) -> None:
    """Validate a budget before any layout is known.

    Raises:
        ValueError: neither an integer ≥ 1 nor a fraction in (0, 1).
    """
    is_count = isinstance(budget, int) and not isinstance(budget, bool) and budget >= 1
    is_share = isinstance(budget, float) and 0.0 < budget < 1.0
    if not (is_count or is_share):
        raise ValueError(f"budget must be an integer ≥ 1 or a fraction in (0, 1), got {budget!r}")


def kept_tokens(budget: Budget, layout: ViewLayout) -> int:
    """K: the count itself, or `max(1, round(budget · selectable))` for a fraction. The summary is not counted.

    Raises:
        ValueError: a malformed budget, or K above the layout's selectable tokens or below its pinned ones.
    """
    check_budget(budget)
    k = budget if isinstance(budget, int) else max(1, round(budget * layout.n_selectable))
    if k > layout.n_selectable:
        raise ValueError(f"budget K={k} is larger than the {layout.n_selectable} selectable tokens of the layout")
    if k < layout.n_pinned:
        raise ValueError(f"budget K={k} is smaller than the {layout.n_pinned} pinned tokens, which are always kept")
    return k
