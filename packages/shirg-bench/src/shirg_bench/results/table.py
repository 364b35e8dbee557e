"""A table of text, as Markdown and in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from shirg_bench.results.rows import Row
from shirg_bench.results.words import NONE

Columns: TypeAlias = Mapping[str, Callable[[Row], str]]
"""Heading → how a row's cell reads."""
WIDTH = 150
"""Columns that the widest table needs; a narrower terminal breaks its lines, which loses nothing."""
SHORT = 30


@dataclass(frozen=True)
class Table:
    """Cells of text, which may hold `code` between backticks.

    Attributes:
        caption: one line above it.
        header: one per column.
        rows: as long as the header.

    Raises:
        ValueError: a row of another length.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"table {self.caption!r} has {len(self.header)} columns, a row has {len(row)}: {row}")


def by_caption(rows: Sequence[Row], columns: Columns, caption: Callable[[Row], str]) -> list[Table]:
    """A table for all rows that share a caption, a line each."""
    tables: dict[str, list[list[str]]] = {}
    for row in rows:
        tables.setdefault(caption(row), []).append([cell(row) for cell in columns.values()])
    return [Table(words, tuple(columns), cells) for words, cells in tables.items()]


def markdown(table: Table) -> str:
    """The table with its caption, without a last line break."""
    lines = [f"**{table.caption}**", "", _line(table.header), "|" + "---|" * len(table.header)]
    return "\n".join([*lines, *(_line(row) for row in table.rows)])


def print_table(table: Table, console: Console, *, names: int = 1) -> None:
    """Print it without the columns that hold dashes alone; the first `names` columns are words, the others numbers."""
    shown = [i for i in range(len(table.header)) if any(row[i] != NONE for row in table.rows)]
    drawn = RichTable(box=None, padding=(0, 2, 0, 0))
    for i in shown:
        # Headings break into lines before short cells do.
        least = min(SHORT, max(len(row[i]) for row in table.rows))
        drawn.add_column(Text(table.header[i]), justify="left" if i < names else "right", min_width=least)
    for row in table.rows:
        drawn.add_row(*(Text(row[i]) for i in shown))
    wide = console if console.width >= WIDTH else Console(file=console.file, width=WIDTH)
    if table.caption:
        wide.print(table.caption, markup=False, highlight=False, soft_wrap=True)
    wide.print(drawn)


def _line(cells: Sequence[str]) -> str:
    escaped = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
