"""Running several methods on one image, and reporting them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from shirg_core.budget import Budget
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.material import Material
from shirg_core.cli.methods import build_selector
from shirg_core.clock import Clock
from shirg_core.methods import Method, get_method
from shirg_core.scores.edges import ink_recall
from shirg_core.selection import Selection

SCHEMA = "shirg.compare/1"
"""Of the JSON summary; `docs/json.md` lists its fields."""
TIMED_RUNS = 3


@dataclass(frozen=True)
class MethodResult:
    """One method on one image; `select_ms` is the median of the timed runs."""

    method: str
    selection: Selection
    ink_recall: float
    select_ms: float

    @property
    def n_kept(self) -> int:
        """Tokens kept."""
        return self.selection.indices.shape[1]

    @property
    def n_regions(self) -> int:
        """Regions that had to keep a token."""
        return int(self.selection.regions.max()) + 1

    @property
    def caption(self) -> str:
        """One line over a panel."""
        return f"{self.method} · {self.n_kept} tokens · ink {self.ink_recall:.1%} · {self.select_ms:.1f} ms"


def run_methods(names: Sequence[str], budget: Budget, seed: int | None, material: Material) -> list[MethodResult]:
    """Run each method on the same features.

    Raises:
        BadInput: no or unknown names, or a method that refuses the budget.
    """
    with bad_input(ValueError):
        methods = [get_method(name) for name in names]
    return [_run(method, budget, seed, material) for method in methods]


def _run(method: Method, budget: Budget, seed: int | None, material: Material) -> MethodResult:
    selector = build_selector(method.name, budget, method.accepted(text_weight=0.0, seed=seed))
    with bad_input(BadInput, prefix=f"{method.name}: "):
        # The first call pays for lazy set-up and is not timed.
        selection = material.select(selector, on_pixels=method.on_pixels)
    clock, times = Clock(), []
    for _ in range(TIMED_RUNS):
        material.select(selector, on_pixels=method.on_pixels)
        times.append(clock.lap())
    recall = float(ink_recall(material.edges, selection.mask, material.layout))
    return MethodResult(method.name, selection, round(recall, 6), round(statistics.median(times), 3))


def as_json(
    image: Path,
    page: int,
    pages: int,
    budget: int,
    asked: str,
    material: Material,
    results: Sequence[MethodResult],
    timings_ms: Mapping[str, float],
) -> dict[str, Any]:
    """Everything, in JSON's types."""
    return {
        "schema": SCHEMA,
        "image": str(image),
        "page": page,
        "pages": pages,
        "budget": budget,
        "budget_asked": asked,
        "featurizer": "pixels",
        "n_tokens": material.layout.n_tokens,
        "n_selectable": material.layout.n_selectable,
        "layout": [[view.h, view.w] for view in material.layout.views],
        "methods": [
            {
                "method": result.method,
                "n_kept": result.n_kept,
                "n_regions": result.n_regions,
                "ink_recall": result.ink_recall,
                "select_ms": result.select_ms,
                "indices": result.selection.indices[0].tolist(),
            }
            for result in results
        ],
        "timings_ms": dict(timings_ms),
    }


def print_table(console: Console, results: Sequence[MethodResult]) -> None:
    """One line a method."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("method")
    for heading in ("kept", "regions", "ink recall", "ms"):
        table.add_column(heading, justify="right")
    for result in results:
        cells = str(result.n_kept), str(result.n_regions), f"{result.ink_recall:.1%}", f"{result.select_ms:.1f}"
        table.add_row(result.method, *cells)
    console.print(table)
