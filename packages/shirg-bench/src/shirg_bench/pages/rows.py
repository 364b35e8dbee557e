"""Measured pages as rows of a results file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from shirg_bench.accuracy.interval import bootstrap
from shirg_bench.pages.measure import KNOWN, SHOWN, Measure
from shirg_bench.pages.result import Cell, Kept, PageResult
from shirg_bench.results.merge import Rules
from shirg_bench.results.provenance import provenance

FILE = "pages.jsonl"
SHARES = {"print": "print_kept", "value": "value_kept", "words": "words_read", "lines": "lines_read"}
"""Field of `Kept` → its name in rows."""
RULES = Rules(
    table=("kind", "source", "pages", "views", "tower"),
    line=("method", "budget"),
    alike=((("kind", "source", "pages", "views", "tower"), ("count", "skipped", "seed")),),
)
"""How these rows are merged into a file."""
CPU = torch.device("cpu")


class Facts(NamedTuple):
    """What all rows of a run say.

    Attributes:
        pages: which of the source's, in words.
        skipped: how many of them could not be had.
        tower: its name and how many layers were computed.
        command: to measure them again.
    """

    pages: str
    skipped: int
    tower: str
    command: str


def page_rows(measure: Measure, results: Sequence[PageResult], facts: Facts) -> list[dict[str, Any]]:
    """A row for each cell: means over pages with their 95 % intervals, pages resampled.

    A page whose value is unknown, or that was not read, does not count for that mean; `value_pages` and `read_pages`
    say how many count.
    """
    shared = {
        "kind": "pages",
        "source": measure.source.name,
        "pages": facts.pages,
        "views": measure.views,
        "tower": facts.tower,
        "count": len(results),
        "skipped": facts.skipped,
        "with_print": round(sum(result.with_print for result in results) / len(results), 4),
        "unreadable": sum(result.unreadable for result in results),
        "outside": sum(result.outside for result in results),
    }
    origin = provenance(facts.command, measure.seed, CPU, f"{torch.get_num_threads()} threads")
    cells = dict.fromkeys(cell for result in results for cell in result.kept)
    return [{**shared, **_cell_facts(measure, cell), **_means(results, cell), **origin} for cell in cells]


def _cell_facts(measure: Measure, cell: Cell) -> dict[str, Any]:
    name, budget = cell
    if name in SHOWN:
        return {"method": name, "budget": None}
    if name == KNOWN:
        return {"method": name, "budget": budget, "options": {}, "attention": None}
    variant = next(variant for variant in measure.variants if variant.name == name)
    return {
        "method": name,
        "budget": budget,
        "options": dict(variant.options),
        "attention": variant.attention,
    }


def _means(results: Sequence[PageResult], cell: Cell) -> dict[str, Any]:
    kept = [result.kept.get(cell, Kept()) for result in results]
    means: dict[str, Any] = {
        "kept_tokens": None,
        "value_pages": sum(not math.isnan(each.value) for each in kept),
        "read_pages": sum(not math.isnan(each.words) for each in kept),
    }
    tokens = [each.tokens for each in kept if not math.isnan(each.tokens)]
    if tokens:
        means["kept_tokens"] = round(sum(tokens) / len(tokens), 1)
    for field, name in SHARES.items():
        values = np.array([getattr(each, field) for each in kept])
        known = ~np.isnan(values)
        if not known.any():
            means |= {name: None, f"{name}_low": None, f"{name}_high": None}
            continue
        low, high = bootstrap(np.nan_to_num(values)[:, None], known[:, None])
        means |= {
            name: round(float(values[known].mean()), 4),
            f"{name}_low": round(low, 4),
            f"{name}_high": round(high, 4),
        }
    return means
