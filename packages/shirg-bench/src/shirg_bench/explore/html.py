"""The page: one self-contained HTML file of at most 6 MB, from the files of the folder `page`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template

from shirg_bench.explore.encode import as_json, encode
from shirg_bench.explore.explored import ExploredImage
from shirg_bench.explore.still import FINEST_PX, data_uri, still_figure
from shirg_core.cli.errors import BadInput

MOST_BYTES = 6_000_000
COARSEST_PX = 400
"""Long side of an image in a page of many."""
SCRIPTS = ("data.js", "geometry.js", "parts.js", "panel.js", "charts.js", "main.js")


def explorer_page(images: Sequence[ExploredImage], budgets: Sequence[str], start: int) -> str:
    """The whole page.

    `budgets` are the slider's labels, of which `start` is shown first.

    Raises:
        BadInput: more than fits in `MOST_BYTES`, however small the images are made.
    """
    data = encode(as_json(images, budgets, start))
    long_side = FINEST_PX
    while True:
        sources = [data_uri(each.image, long_side) for each in images]
        page = _page(images, start, sources, data)
        size = len(page.encode())
        if size <= MOST_BYTES:
            return page
        if long_side == COARSEST_PX:
            raise BadInput(
                f"the page would have {size / 1e6:.1f} MB, at most {MOST_BYTES / 1e6:.0f}: give fewer images, "
                "--methods or --budgets"
            )
        long_side = max(COARSEST_PX, round(long_side * 0.8))


def _page(images: Sequence[ExploredImage], start: int, sources: Sequence[str], data: str) -> str:
    stills = (
        still_figure(i, each, start, source) for i, (each, source) in enumerate(zip(images, sources, strict=True))
    )
    title = images[0].name if len(images) == 1 else f"{len(images)} images"
    return Template(_file("explorer.html")).substitute(
        title=escape(f"{title} · SHIRG explorer"),
        style=_file("explorer.css"),
        stills="\n".join(stills),
        data=data,
        script="\n".join(_file(name) for name in SCRIPTS),
    )


def _file(name: str) -> str:
    return (files("shirg_bench.explore") / "page" / name).read_text("utf-8")
