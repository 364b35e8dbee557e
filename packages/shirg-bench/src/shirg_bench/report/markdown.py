"""The report as Markdown, with pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence

from shirg_bench.report.html import FIGURES
from shirg_bench.report.page import Section
from shirg_bench.results.table import markdown


def to_markdown(title: str, sections: Sequence[Section]) -> str:
    """One page."""
    parts = [f"# {title}"]
    for section in sections:
        parts.append(f"## {section.title}")
        parts += section.text
        parts += [f"> **Missing.** {sentence}" for sentence in section.missing]
        parts += [f"[{words}]({target})" for words, target in section.links.items()]
        parts += [f"![{each.caption}]({FIGURES}/{each.file})\n\n*{each.caption}*" for each in section.pictures]
        parts += [markdown(table) for table in section.tables]
    return "\n\n".join(parts) + "\n"
