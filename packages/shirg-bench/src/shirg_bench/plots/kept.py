"""Pages, one a row, and what each method kept of them, one a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from shirg_core.images import overlay
from shirg_core.images.sheet import Sheet
from shirg_core.layout import ViewLayout

HEIGHT, GAP, MARGIN, ABOVE = 340, 12, 16, 24
NARROWEST, WIDEST = 170, 280
"""Pixels, so that the caption fits above a strip of paper."""


@dataclass(frozen=True, eq=False)
class PageStrip:
    """One row.

    Attributes:
        name: of the page.
        image: the page.
        layout: geometry of its N tokens; of several views the last ones that show a place are drawn.
        kept: `[N]` bool by method.
        captions: one line by method.
    """

    name: str
    image: Image.Image
    layout: ViewLayout
    kept: Mapping[str, overlay.Bools]
    captions: Mapping[str, str]


def kept_sheet(strips: Sequence[PageStrip]) -> Figure:
    """A row per page: the page, then what each method kept of it; the rest is dimmed.

    Raises:
        ValueError: no pages, or pages with different methods.
    """
    columns = {tuple(strip.kept) for strip in strips}
    if len(columns) != 1:
        raise ValueError(f"pages must have the same methods, at least one page, got {sorted(columns)}")
    names = columns.pop()
    sizes = [_fit(strip.image) for strip in strips]
    wide, step = max(width for width, _ in sizes) + GAP, HEIGHT + ABOVE + GAP
    sheet = Sheet(2 * MARGIN + (len(names) + 1) * wide - GAP, 2 * MARGIN + len(strips) * step - GAP)
    for row, (strip, size) in enumerate(zip(strips, sizes, strict=True)):
        top = MARGIN + row * step
        page = overlay.page_pixels(strip.image, size)
        tokens = overlay.token_map(strip.layout, range(len(strip.layout.views)), size)
        pictures = [page, *(overlay.paint_kept(page, tokens, strip.kept[name]) for name in names)]
        for column, picture in enumerate(pictures):
            caption = strip.name if column == 0 else strip.captions[names[column - 1]]
            x = MARGIN + column * wide
            sheet.text(x, top + 3, caption, size=9, weight="bold" if column == 0 else "normal")
            sheet.picture((x, top + ABOVE), picture, "")
    return sheet.figure


def stored_sheet(path: Path) -> Figure:
    """A sheet that was written before, for a report.

    Raises:
        OSError: not a picture.
    """
    with Image.open(path) as stored:
        sheet = Sheet(*stored.size)
        axes = sheet.axes((0, 0), stored.size)
        axes.imshow(overlay.page_pixels(stored.convert("RGB"), stored.size), interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    return sheet.figure


def _fit(image: Image.Image) -> tuple[int, int]:
    """`(width, height)` in pixels that a page is shown at."""
    scale = min(WIDEST / image.width, HEIGHT / image.height)
    return max(round(image.width * scale), NARROWEST), max(round(image.height * scale), 1)
