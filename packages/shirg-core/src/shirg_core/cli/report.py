"""JSON and terminal output of `shirg select`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from shirg_core.cli.material import Material
from shirg_core.cli.methods import parse_budget
from shirg_core.layout import ViewLayout
from shirg_core.scores.edges import ink_recall
from shirg_core.selection import Selection

SCHEMA = "shirg.select/1"
"""Of the JSON summary; `docs/json.md` lists its fields."""


@dataclass(frozen=True)
class Report:
    """The facts. `budget` is K; `indices` may hold another number of tokens for a method that keeps no exact count."""

    method: str
    budget: int
    budget_asked: str
    layout: ViewLayout
    indices: list[int]
    kept_per_view: list[int]
    kept_per_region: list[int]
    has_summary: bool
    ink_recall: float

    @property
    def exact_count(self) -> bool:
        """Whether the method kept as many tokens as it was asked to."""
        return len(self.indices) == self.budget

    @classmethod
    def of(cls, method: str, budget: str, material: Material, selection: Selection) -> Report:
        """Count what was kept of one image.

        Raises:
            BadInput: a budget that the layout cannot hold.
        """
        layout, kept, regions = material.layout, selection.mask[0], selection.regions[0]
        n_regions = int(regions.max()) + 1
        views = layout.view_ids()[kept].bincount(minlength=len(layout.views))
        return cls(
            method=method,
            budget=material.budget(parse_budget(budget)),
            budget_asked=budget,
            layout=layout,
            indices=selection.indices[0].tolist(),
            kept_per_view=views.tolist(),
            kept_per_region=regions[kept & (regions >= 0)].bincount(minlength=n_regions).tolist(),
            has_summary=selection.summary is not None,
            ink_recall=round(float(ink_recall(material.edges, selection.mask, layout)), 6),
        )

    def as_json(self, image: Path, page: int, pages: int, timings_ms: Mapping[str, float]) -> dict[str, Any]:
        """Everything, in JSON's types."""
        return {
            "schema": SCHEMA,
            "method": self.method,
            "budget": self.budget,
            "budget_asked": self.budget_asked,
            "image": str(image),
            "page": page,
            "pages": pages,
            "featurizer": "pixels",
            "n_tokens": self.layout.n_tokens,
            "n_selectable": self.layout.n_selectable,
            "n_kept": len(self.indices),
            "exact_count": self.exact_count,
            "layout": [[view.h, view.w] for view in self.layout.views],
            "views": [
                {"grid": [view.h, view.w], "box": view.box, "selectable": view.n_selectable, "kept": kept}
                for view, kept in zip(self.layout.views, self.kept_per_view, strict=True)
            ],
            "indices": self.indices,
            "n_regions": len(self.kept_per_region),
            "coverage": _coverage(self.kept_per_region),
            "summary": self.has_summary,
            "ink_recall": self.ink_recall,
            "timings_ms": dict(timings_ms),
        }


def _coverage(kept_per_region: Sequence[int]) -> dict[str, int]:
    """How the regions fared."""
    return {
        "regions": len(kept_per_region),
        "regions_covered": sum(kept > 0 for kept in kept_per_region),
        "kept_per_region_min": min(kept_per_region, default=0),
        "kept_per_region_max": max(kept_per_region, default=0),
    }


def headline(report: Report) -> str:
    """One line over the picture."""
    regions = len(report.kept_per_region)
    return (
        f"{report.method} · kept {len(report.indices)} of {report.layout.n_selectable} tokens · "
        f"{regions} region{'' if regions == 1 else 's'} · ink recall {report.ink_recall:.1%}"
    )


def print_report(console: Console, report: Report, timings_ms: Mapping[str, float], page: str | None) -> None:
    """A short summary for the terminal; `page` says which of several."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    coverage = _coverage(report.kept_per_region)
    grids = zip(report.layout.views, report.kept_per_view, strict=True)
    if page is not None:
        table.add_row("page", page)
    table.add_row("method", report.method)
    own_count = "" if report.exact_count else f" ({report.method} decides the count itself)"
    table.add_row("kept", f"{len(report.indices)} of {report.layout.n_selectable} tokens{own_count}")
    table.add_row("per view", ", ".join(f"{kept} of {view.h}×{view.w}" for view, kept in grids))
    table.add_row(
        "regions",
        f"{coverage['regions_covered']} of {coverage['regions']} covered, "
        f"{coverage['kept_per_region_min']} to {coverage['kept_per_region_max']} kept in each",
    )
    table.add_row("ink recall", f"{report.ink_recall:.1%}")
    table.add_row("ms", ", ".join(f"{stage} {ms:.1f}" for stage, ms in timings_ms.items()))
    console.print(table)
