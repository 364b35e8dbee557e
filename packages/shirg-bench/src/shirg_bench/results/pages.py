"""Tables of real pages: what is kept of their print, and what a reader still reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shirg_bench.results.rows import Row
from shirg_bench.results.table import Table
from shirg_bench.results.words import NONE, budget_words, ordered

MEASURES: Mapping[str, str] = {
    "print_kept": "Share of min(K, tokens with print) that was kept [95 % interval]",
    "value_kept": "Share of the tokens that show the asked value that was kept [95 % interval]",
    "words_read": "Share of words that the reader reads [95 % interval]",
    "lines_read": "Share of lines that the reader reads [95 % interval]",
}
"""Key of rows → caption."""
READ = ("words_read", "lines_read")


def page_tables(rows: Sequence[Row]) -> list[Table]:
    """For each source, set of pages and views a table per measure: a line per method, a column per budget."""
    tables = []
    for facts in dict.fromkeys((row["source"], row["pages"], row["views"], row["tower"]) for row in rows):
        mine = [row for row in rows if (row["source"], row["pages"], row["views"], row["tower"]) == facts]
        for name, caption in MEASURES.items():
            measured = [row for row in mine if row.get(name) is not None]
            if measured:
                tables.append(_table(name, f"{caption}, {_pages(measured, name)}", measured))
    return tables


def _pages(rows: Sequence[Row], name: str) -> str:
    first = rows[0]
    count = first["read_pages"] if name in READ else first["value_pages"] if name == "value_kept" else first["count"]
    words = f"{first['source']} pages {first['pages']} ({count} of them), views {first['views']}, {first['tower']}"
    if name != "print_kept":
        return words
    words += f"; {first['with_print']:.0%} of the tokens hold print"
    for what, key in (("pages skipped", "skipped"), ("lines unreadable", "unreadable"), ("boxes outside", "outside")):
        words += f", {first[key]} {what}" if first[key] else ""
    return words


def _table(name: str, caption: str, rows: Sequence[Row]) -> Table:
    # What was read beside the methods comes first: the full page and the averaged one.
    rows = sorted(rows, key=lambda row: row["budget"] is not None)
    budgets = ordered(rows, "budget")
    cells = []
    for method in ordered(rows, "method"):
        here = {row["budget"]: row for row in rows if row["method"] == method}
        cells.append([str(method), *(_share(here.get(budget), name) for budget in budgets)])
    header = ("method", *("whole" if budget is None else budget_words(budget) for budget in budgets))
    return Table(caption, header, cells)


def _share(row: Row | None, name: str) -> str:
    if row is None or row.get(name) is None:
        return NONE
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
