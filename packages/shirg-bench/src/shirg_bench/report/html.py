"""The report as one self-contained HTML page with folded tables; each picture also lies beside it, to look closer."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from importlib.resources import files

from shirg_bench.report.page import Picture, Section
from shirg_bench.results.table import Table

FIGURES = "figures"
"""Folder of pictures beside the page."""
CSS_PX_PER_INCH = 96


def to_html(title: str, sections: Sequence[Section], pictures: Mapping[str, bytes]) -> str:
    """One page that needs nothing else: style and pictures are in it.

    Pictures are the content of their files by name, which lie in the folder `FIGURES` beside the page.
    """
    style = (files("shirg_bench.report") / "style.css").read_text("utf-8")
    links = "".join(f'<a href="#{_anchor(section)}">{_text(section.title)}</a>' for section in sections)
    body = "\n".join(_section(section, pictures) for section in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<h1>{_text(title)}</h1>\n<nav>{links}</nav>\n{body}\n</body>\n</html>\n"
    )


def _section(section: Section, pictures: Mapping[str, bytes]) -> str:
    parts = [f'<section id="{_anchor(section)}">\n<h2>{_text(section.title)}</h2>']
    parts += [f"<p>{_text(paragraph)}</p>" for paragraph in section.text]
    parts += [f'<p><a href="{escape(target)}">{_text(words)}</a></p>' for words, target in section.links.items()]
    parts += [f'<p class="missing"><b>Missing.</b> {_text(sentence)}</p>' for sentence in section.missing]
    parts += [_picture(each, pictures[each.name]) for each in section.pictures]
    parts += [_folded(table) if section.folded else _table(table) for table in section.tables]
    return "\n".join([*parts, "</section>"])


def _picture(picture: Picture, content: bytes) -> str:
    kind = "png" if picture.photographs else "svg+xml"
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    width, height = (round(inches * CSS_PX_PER_INCH) for inches in picture.figure.get_size_inches())
    return (
        f'<figure>\n<div class="plot"><img src="{source}" width="{width}" height="{height}" loading="lazy" '
        f'alt="{escape(picture.caption)}"></div>\n<figcaption>{_text(picture.caption)} '
        f'<a href="{FIGURES}/{escape(picture.file)}">The picture alone</a></figcaption>\n</figure>'
    )


def _folded(table: Table) -> str:
    count = len(table.rows)
    lines = "1 line" if count == 1 else f"{count} lines"
    words = f"<summary>{_text(table.caption)} <span>{lines}</span></summary>"
    return f"<details>\n{words}\n{_table(replace(table, caption=''))}\n</details>"


def _table(table: Table) -> str:
    caption = f"<caption>{_text(table.caption)}</caption>\n" if table.caption else ""
    header = "".join(f"<th>{_text(cell)}</th>" for cell in table.header)
    rows = "\n".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return (
        f'<div class="table" tabindex="0"><table>\n{caption}'
        f"<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def _text(words: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(words))


def _anchor(section: Section) -> str:
    return re.sub(r"[^a-z]+", "-", section.title.lower()).strip("-")
