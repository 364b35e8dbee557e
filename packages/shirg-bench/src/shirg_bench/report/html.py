"""The report as one self-contained HTML page."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from shirg_bench.report.page import Picture, Section
from shirg_bench.results.table import Table


def to_html(title: str, sections: Sequence[Section], pictures: Mapping[str, bytes]) -> str:
    """One page that needs nothing else: style and pictures are in it.

    Args:
        title: of the page.
        sections: in order.
        pictures: PNGs by name.
    """
    style = (files("shirg_bench.report") / "style.css").read_text("utf-8")
    links = "".join(f'<a href="#{_anchor(section)}">{_text(section.title)}</a>' for section in sections)
    body = "\n".join(_section(section, pictures) for section in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<h1>{_text(title)}</h1>\n<nav>{links}</nav>\n{body}\n</body>\n</html>\n"
    )


def _section(section: Section, pictures: Mapping[str, bytes]) -> str:
    parts = [f'<h2 id="{_anchor(section)}">{_text(section.title)}</h2>']
    parts += [f"<p>{_text(paragraph)}</p>" for paragraph in section.text]
    parts += [f'<p class="missing"><b>Missing.</b> {_text(sentence)}</p>' for sentence in section.missing]
    parts += [_picture(each, pictures[each.name]) for each in section.pictures]
    parts += [_table(table) for table in section.tables]
    return "\n".join(parts)


def _picture(picture: Picture, png: bytes) -> str:
    source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    caption = _text(picture.caption)
    return f'<figure><img src="{source}" alt="{escape(picture.caption)}"><figcaption>{caption}</figcaption></figure>'


def _table(table: Table) -> str:
    header = "".join(f"<th>{_text(cell)}</th>" for cell in table.header)
    rows = "\n".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return (
        f'<div class="table"><table>\n<caption>{_text(table.caption)}</caption>\n'
        f"<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def _text(words: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(words))


def _anchor(section: Section) -> str:
    return re.sub(r"[^a-z]+", "-", section.title.lower()).strip("-")
