"""What a reader wants first: the best-known methods at two budgets, and how the claims fared."""

from __future__ import annotations

from collections.abc import Sequence

from shirg_bench.ledger import Settled
from shirg_bench.report.claims import counts_of
from shirg_bench.report.page import Section
from shirg_bench.report.sections import ACCURACY, PAGES, Results
from shirg_bench.results.rows import Row
from shirg_bench.results.table import Table
from shirg_bench.results.words import NONE, SEED, budget_words, tier_words

HEADLINE = ("full", "pooling", "v2", "v3", "v4", "top-edge", "divprune", "random")
"""Methods of the summary, where they were measured."""
BUDGETS = (1 / 3, 1 / 6)
SHARES = " · ".join(map(budget_words, BUDGETS))


def summary_section(results: Results, settled: Sequence[Settled]) -> Section:
    """Counts of verdicts; exact match, and print kept, by the best-known methods."""
    answers = [row for row in results.of(ACCURACY, "accuracy") if SEED not in row["regime"]]
    # What was told the tower's attention is another method's neighbour, not the method.
    pages = [row for row in results.of(PAGES, "pages") if row.get("attention") is None]
    tables = [
        *_table(
            f"Exact match of answers about unseen synthetic pages, {SHARES} of the tokens kept",
            "exact_match",
            [(f"{tier_words(row['tier'])} pages, {row['regime']}", row) for row in answers],
        ),
        *_table(
            f"Share of min(K, tokens with print) that is kept of real pages, {SHARES} of the tokens kept",
            "print_kept",
            [(f"{row['source']}, {row['views']}", row) for row in pages],
        ),
    ]
    return Section("Summary", [f"{len(settled)} claims: {counts_of(settled)}."], tables=tables, folded=False)


def _table(caption: str, name: str, rows: Sequence[tuple[str, Row]]) -> list[Table]:
    """A line per method, a column per group, in it the value at each budget; none without rows."""
    values: dict[tuple[str, str], dict[float | None, str]] = {}
    for group, row in rows:
        as_named = row["method"] in HEADLINE and not row.get("options")
        if as_named and row["budget"] in (None, *BUDGETS) and row.get(name) is not None:
            values.setdefault((row["method"], group), {})[row["budget"]] = f"{row[name]:.2f}"
    groups = list(dict.fromkeys(group for _, group in values))
    methods = [method for method in HEADLINE if any((method, group) in values for group in groups)]
    lines = [(method, *(_cell(values.get((method, group), {})) for group in groups)) for method in methods]
    return [Table(caption, ("method", *groups), lines)] if lines else []


def _cell(values: dict[float | None, str]) -> str:
    if not values:
        return NONE
    return values[None] if None in values else " · ".join(values.get(budget, NONE) for budget in BUDGETS)
