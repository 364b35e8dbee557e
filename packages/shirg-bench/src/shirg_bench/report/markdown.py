"""The report as Markdown, with pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence

from shirg_bench.report.page import Section, Table


def to_markdown(title: str, sections: Sequence[Section], folder: str) -> str:
    """One page.

    Args:
        title: the first heading.
        sections: in order.
        folder: where pictures lie, relative to the page.
    """
    parts = [f"# {title}"]
    for section in sections:
        parts.append(f"## {section.title}")
        parts += section.text
        parts += [f"> **Missing.** {sentence}" for sentence in section.missing]
        parts += [f"![{each.caption}]({folder}/{each.name}.png)\n\n*{each.caption}*" for each in section.pictures]
        parts += [_table(table) for table in section.tables]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    lines = [f"**{table.caption}**", "", _line(table.header), "|" + "---|" * len(table.header)]
    return "\n".join([*lines, *(_line(row) for row in table.rows)])


def _line(cells: Sequence[str]) -> str:
    escaped = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
