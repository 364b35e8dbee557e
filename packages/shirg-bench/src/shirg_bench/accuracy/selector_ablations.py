"""Ablations of the selector: coverage, terms of the score, summary, regions, and a DPP in two halves.

Not everything can be said by a preset's own parameters: v2 has no attention to weigh its summary by, so its `attention`
summary takes v3's.
"""

from __future__ import annotations

from typing import Any

from shirg_bench.accuracy.case import BUDGETS, NOTES, Adapters, Case, Comparison
from shirg_bench.accuracy.variant import Variant
from shirg_train.keep_ratio import PolicyConfig

REGIONS = ("clusters", "cells", "quadtree")


def case(name: str, method: str, budget: float, **options: Any) -> Case:
    """A method with options at a budget."""
    return Case(name, Variant(PolicyConfig(method, budget, options=options)), NOTES.get(method, ""))


def coverage(_: Adapters) -> list[Comparison]:
    """Without the guarantee that every region keeps a token."""
    return [
        Comparison(case(m, m, b), [case(f"{m}, no coverage", m, b, coverage="none")])
        for m in ("v2", "v3", "v3-tower")
        for b in BUDGETS
    ]


def beta(_: Adapters) -> list[Comparison]:
    """Without v2's edge boost."""
    return [Comparison(case("v2", "v2", b), [case("v2, β = 0", "v2", b, beta=0.0)]) for b in BUDGETS]


def terms(_: Adapters) -> list[Comparison]:
    """Each term of a preset's score alone, with its coverage and summary."""
    v2 = {
        "variance": {"alpha": 1.0, "beta": 0.0},
        "relevance": {"alpha": 0.0, "beta": 0.0},
        "edges": {"alpha": 0.0, "text_weight": 0.0, "beta": 1.0},
    }
    names = ("attention", "magnitude", "gradient")
    v3 = {name: {f"{other}_weight": float(other == name) for other in names} for name in names}
    return [
        Comparison(case(m, m, b), [case(f"{m}, {name} alone", m, b, **options) for name, options in terms.items()])
        for m, terms in (("v2", v2), ("v3", v3), ("v3-tower", v3))
        for b in BUDGETS
    ]


def alpha(_: Adapters) -> list[Comparison]:
    """v2's α over budgets; α also sets the weight of the text, 1 − α."""
    return [
        Comparison(case("v2 (α = 0.25)", "v2", b), [case(f"v2, α = {a}", "v2", b, alpha=a) for a in (0.1, 0.3, 0.5)])
        for b in BUDGETS
    ]


def summary(_: Adapters) -> list[Comparison]:
    """No summary, the mean, or one weighted by attention."""
    own = {"v2": "mean", "v3": "attention"}
    words = {"none": "no", "mean": "mean", "attention": "weighted"}
    return [
        Comparison(
            case(f"{m} ({words[own[m]]} summary)", m, b),
            [case(f"{m}, {words[s]} summary", m, b, summary=s) for s in words if s != own[m]],
        )
        for m in own
        for b in BUDGETS
    ]


def regions(_: Adapters) -> list[Comparison]:
    """Other regions than a preset's own."""
    shares = {"v2": {}, "v3": {}, "v4": {"coverage_share": 0.5}}
    own = {"v2": "clusters", "v3": "cells", "v4": "none"}
    return [
        Comparison(
            case(f"{m} ({own[m]})", m, b),
            [case(f"{m}, {kind}", m, b, coverage=kind, **shares[m]) for kind in REGIONS if kind != own[m]],
        )
        for m in own
        for b in BUDGETS
    ]


def parts(_: Adapters) -> list[Comparison]:
    """CDPruner's choice in two halves, each by itself."""
    return [
        Comparison(case("cdpruner", "cdpruner", b), [case("cdpruner, two halves", "cdpruner", b, parts=2)])
        for b in BUDGETS
    ]
