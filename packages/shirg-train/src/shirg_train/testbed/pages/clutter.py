"""Texture that looks like content to an edge detector, laid on pages as crops of large sheets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages.ink import Rects
from shirg_train.testbed.pages.sheets import SHEET_PX, Grey, faint_sheet, sheet

WEIGHTS = (0.27, 0.12, 0.12, 0.09, 0.4)
"""How often each kind of sheet fills an area: photograph, halftone, hatching, ruled, print."""


def fill_clutter(pages: Grey, rects: Rects, kinds: NDArray[np.integer], offsets: NDArray[np.floating]) -> None:
    """Fill rectangles with crops of sheets; `offsets [R, 2]` in [0, 1) say from where."""
    for area, kind, crop in _crops(pages, rects, kinds, offsets):
        area[:] = sheet(kind)[crop]


def darken(
    pages: Grey, rects: Rects, kinds: NDArray[np.integer], offsets: NDArray[np.floating], strength: float
) -> None:
    """Lay faint crops of sheets under rectangles that will be printed on."""
    for area, kind, crop in _crops(pages, rects, kinds, offsets):
        np.minimum(area, faint_sheet(kind, strength)[crop], out=area)


def _crops(
    pages: Grey, rects: Rects, kinds: NDArray[np.integer], offsets: NDArray[np.floating]
) -> Iterator[tuple[Grey, int, tuple[slice, slice]]]:
    """The pixels of every rectangle, its kind, and the part of a sheet that goes there."""
    at = (offsets * (SHEET_PX - pages.shape[1])).astype(int).tolist()
    columns = (column.tolist() for column in (*rects[:5], kinds))
    for (page, x0, y0, x1, y1, kind), (ox, oy) in zip(zip(*columns, strict=True), at, strict=True):
        yield pages[page, y0:y1, x0:x1], kind, (slice(oy, oy + y1 - y0), slice(ox, ox + x1 - x0))
