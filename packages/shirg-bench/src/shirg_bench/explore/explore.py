"""Running methods at budgets on one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from PIL import Image
from torch import Tensor

from shirg_bench.explore.choosers import Chooser
from shirg_bench.explore.explored import MethodRuns, Run
from shirg_bench.explore.reading import Reading
from shirg_bench.explore.record import page_edges, run_of, terms_of
from shirg_core.budget import Budget
from shirg_core.layout import ViewLayout
from shirg_core.methods import Method
from shirg_core.progress import Report


def explore_methods(
    chooser: Chooser,
    image: Image.Image,
    methods: Sequence[Method],
    budgets: Mapping[str, Budget],
    *,
    reading: Reading | None = None,
    report: Report = lambda _: None,
) -> list[MethodRuns]:
    """Every method at every budget.

    `report` is called once for each method and budget.

    Raises:
        BadInput: what a method or the reader refuses.
    """

    @cache
    def edges(layout: ViewLayout) -> Tensor:
        return page_edges(image, layout)

    explored: list[MethodRuns] = []
    for method in methods:
        runs: list[Run] = []
        for words, budget in list(budgets.items())[: None if method.takes_budget else 1]:
            report(f"{method.name} {words}")
            choice = chooser.choose(method, budget)
            layout = choice.layout
            run = run_of(layout, choice.seen, edges(layout), merges=method.merges)
            if reading is not None and not method.merges:
                lines = reading.lines(explored[0].layout if explored else layout)
                run = replace(run, read=reading.still_read(lines, layout, run.kept))
            runs.append(replace(run, reply=choice.reply))
        # Weights and components do not depend on the budget: those of the last call are everyone's.
        explored.append(MethodRuns(method, layout, runs, terms_of(choice.seen)))
    return explored


def count_runs(methods: Sequence[Method], budgets: Mapping[str, Budget]) -> int:
    """How often `explore_methods` reports."""
    return sum(len(budgets) if method.takes_budget else 1 for method in methods)
