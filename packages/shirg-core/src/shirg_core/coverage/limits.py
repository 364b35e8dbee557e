"""How many regions coverage may make."""

from __future__ import annotations

import math

from shirg_core.layout import ViewLayout


def region_limit(layout: ViewLayout, budget: int, share: float) -> int:
    """`max(views, ⌊share · K⌋)`: the share of the budget that coverage may claim, at least one region per view."""
    return max(len(layout.views), math.floor(share * budget))
