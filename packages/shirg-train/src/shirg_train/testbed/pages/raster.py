"""Putting ink on paper: rectangles one by one, dots and print of a whole batch in one scatter each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages.fonts import load_atlas
from shirg_train.testbed.pages.ink import Dots, Ints, Rects, Runs
from shirg_train.testbed.pages.words import ALPHABET

Grey = NDArray[np.uint8]


class Glyphs(NamedTuple):
    """G glyphs: the run each belongs to, its place in the run, its character, and its ink's box on the page."""

    run: Ints
    place: Ints
    code: Ints
    x0: Ints
    y0: Ints
    x1: Ints
    y1: Ints


def fill_rects(pages: Grey, rects: Rects) -> None:
    """Fill rectangles; what lies outside a page is cut off."""
    size = pages.shape[1]
    clipped = (rects.page, *(np.clip(side, 0, size) for side in rects[1:5]), rects.level)
    for page, x0, y0, x1, y1, level in zip(*(column.tolist() for column in clipped), strict=True):
        pages[page, y0:y1, x0:x1] = level


def fill_dots(pages: Grey, dots: Dots) -> None:
    """Set single pixels.

    Raises:
        ValueError: a dot outside its page.
    """
    if not len(dots.x):
        # A line chart of a single point has no line.
        return
    size = pages.shape[1]
    if min(dots.x.min(), dots.y.min()) < 0 or max(dots.x.max(), dots.y.max()) >= size:
        raise ValueError(f"a dot lies outside its page of {size} px")
    pages[dots.page, dots.y, dots.x] = dots.level


def print_runs(pages: Grey, runs: Runs) -> Glyphs:
    """Print runs of characters and say where every glyph went.

    A pixel becomes `paper + (ink − paper) · coverage`.

    Raises:
        ValueError: a glyph outside its page.
    """
    atlas, size = load_atlas(), pages.shape[1]
    shown = runs.codes >= 0
    advance = np.where(shown, atlas.advance[runs.face[:, None], runs.codes], 0)
    starts = runs.x[:, None] + np.cumsum(advance, axis=1) - advance
    run, place = np.nonzero(shown)
    code, x, y = runs.codes[run, place].astype(np.int64), starts[run, place], runs.y[run]
    glyph = runs.face[run] * len(ALPHABET) + code
    box = atlas.boxes[glyph]
    x0, y0, x1, y1 = x + box[:, 0], y + box[:, 1], x + box[:, 2], y + box[:, 3]
    if len(x) and (min(x0.min(), y0.min()) < 0 or max(x1.max(), y1.max()) > size):
        raise ValueError(f"print lies outside its page of {size} px")
    count = atlas.count[glyph]
    pixel = np.arange(count.sum()) + np.repeat(atlas.first[glyph] - (np.cumsum(count) - count), count)
    target = np.repeat((runs.page[run] * size + y) * size + x, count) + (atlas.dy * size + atlas.dx)[pixel]
    flat = pages.reshape(-1)
    paper = flat[target].astype(np.int32)
    ink = np.repeat(runs.level[run].astype(np.int32), count)
    flat[target] = paper + (ink - paper) * atlas.alpha[pixel] // 255
    return Glyphs(run, place, code, x0, y0, x1, y1)
