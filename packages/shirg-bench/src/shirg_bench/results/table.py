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
SHORT = 30
"""Letters of a cell that is not broken into lines."""
SHORT_HEADING = 8
"""Letters of a heading that is not broken into lines."""
GAP = 2
"""Letters between columns."""


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
    """Print it without the columns that hold dashes alone; the first `names` columns are words, the others numbers.

    A table wider than the console is printed in parts, in each of them the first `names` columns again.
    """
    shown = [i for i in range(len(table.header)) if any(row[i] != NONE for row in table.rows)]
    words, numbers = [i for i in shown if i < names], [i for i in shown if i >= names]
    if table.caption:
        console.print(table.caption, markup=False, highlight=False)
    for part in _parts(table, words, numbers, console.width):
        drawn = RichTable(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
        for i in words:
            drawn.add_column(Text(table.header[i]), min_width=_cells_width(table, i))
        for i in part:
            # Headings break into lines, numbers do not.
            drawn.add_column(Text(table.header[i]), justify="right", width=_width(table, i) - GAP)
        for row in table.rows:
            drawn.add_row(*(Text(row[i]) for i in (*words, *part)))
        console.print(drawn)


def _parts(table: Table, words: Sequence[int], numbers: Sequence[int], width: int) -> list[list[int]]:
    """`numbers` in groups of columns that fit into `width` beside `words`; one group without numbers."""
    room = left = width - sum(_width(table, i) for i in words)
    parts: list[list[int]] = [[]]
    for i in numbers:
        if parts[-1] and _width(table, i) > left:
            parts.append([])
            left = room
        parts[-1].append(i)
        left -= _width(table, i)
    return parts


def _width(table: Table, column: int) -> int:
    """What a column takes at least: its short cells whole, a long heading broken into words, the gap."""
    heading = table.header[column]
    words = [heading] if len(heading) <= SHORT_HEADING else heading.split()
    return max(_cells_width(table, column), *map(len, words)) + GAP


def _cells_width(table: Table, column: int) -> int:
    return min(SHORT, max((len(row[column]) for row in table.rows), default=0))


def _line(cells: Sequence[str]) -> str:
    escaped = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
