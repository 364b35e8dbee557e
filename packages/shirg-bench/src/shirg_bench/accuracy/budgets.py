"""Accuracy against budget: every method at every budget, all on the same pages and questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from shirg_bench.accuracy.case import NOTES
from shirg_bench.accuracy.measure import Bench
from shirg_bench.accuracy.methods import exact_methods
from shirg_bench.accuracy.rows import Run, change, identity, score_row
from shirg_bench.accuracy.variant import Variant
from shirg_lavida.vision.views import Views
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.testbed.micro.config import CROPS
from shirg_train.testbed.micro.visual import VIEWS, views_of

BUDGETS = (1 / 12, 1 / 6, 1 / 3, 1 / 2)
SCISSOR_THRESHOLDS = (0.7, 0.8, 0.9)
AT_EQUAL_PREFIX = ("v2", "v3", "random", "uniform")


class Entry(NamedTuple):
    """One line of the table.

    Attributes:
        method: as the table calls it.
        variant: what is run.
        group: `whole` (nothing is chosen), `own` (the method decides how many), `budget`, `pooled-k` (as many kept
            tokens as pooling), or `pooled-prefix` (so few that with newlines and summary the prefix is never longer).
    """

    method: str
    variant: Variant
    group: str


def entries(side: int, views: Views = VIEWS) -> list[Entry]:
    """The table of a model with `side × side` tokens a view."""
    crops = 1 if views == VIEWS else CROPS
    pooled_side = -(-side // 2)
    pooled = pooled_side**2 * (crops**2 + (crops > 1))
    # Kept tokens may stand in every line, a newline after each, and a summary follows; pooled ones in half of them.
    within_prefix = pooled + crops * (pooled_side - side) - 1
    whole, exact = Variant(), exact_methods()
    rows = [
        Entry("full", whole, "whole"),
        Entry("downsampled", replace(whole, source="blurred"), "whole"),
        Entry("pooling", Variant(PolicyConfig("pooling")), "own"),
        *(
            Entry("scissor", Variant(PolicyConfig("scissor", options={"threshold": threshold})), "own")
            for threshold in SCISSOR_THRESHOLDS
        ),
    ]
    for group, methods, budgets in (
        ("budget", exact, BUDGETS),
        ("pooled-k", exact, (pooled,)),
        ("pooled-prefix", AT_EQUAL_PREFIX, (within_prefix,)),
    ):
        rows += [Entry(m, Variant(PolicyConfig(m, budget)), group) for m in methods for budget in budgets]
    return rows


def curve_plan(run: Run, methods: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """What the rows of `curve_rows` will say before anything is measured."""
    return [
        {"kind": "accuracy", "group": entry.group, **identity(run, tier, entry.variant), "method": entry.method}
        for tier in run.tiers
        for entry in entries_of(run.bench, methods)
    ]


def curve_rows(run: Run, methods: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Rows of kind `accuracy`, of some methods (see `table_method`) or all.

    `vs_full`, `vs_pooling` and (at the same K) `vs_v2` are paired differences to what was measured, too, each with its
    interval `…_low`, `…_high`.
    """
    table = entries_of(run.bench, methods)
    rows = []
    for tier in run.tiers:
        measured = run.answers([entry.variant for entry in table], tier)
        found = {(entry.method, entry.variant.policy.budget): each for entry, each in zip(table, measured, strict=True)}
        for entry, answers in zip(table, measured, strict=True):
            row = score_row(run, tier, entry.variant, answers)
            changes = [
                change(f"vs_{method}", answers, found[method, budget])
                for method, budget in (("full", None), ("pooling", None), ("v2", entry.variant.policy.budget))
                if (method, budget) in found
            ]
            beside: dict[str, Any] = {name: value for each in changes for name, value in each.items()}
            if entry.method in NOTES:
                beside["note"] = NOTES[entry.method]
            rows.append({"kind": "accuracy", "group": entry.group, **row, "method": entry.method, **beside})
    return rows


def entries_of(bench: Bench, methods: Sequence[str] | None = None) -> list[Entry]:
    """The table of a bench's model, or its lines of some methods."""
    model = bench.models[None]
    table = entries(model.config.vision.side, views_of(model))
    return table if methods is None else [entry for entry in table if entry.method in methods]
