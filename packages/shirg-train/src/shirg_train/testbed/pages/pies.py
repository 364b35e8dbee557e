"""Pie charts: a disc of grey wedges and a legend of swatch, label and share in percent."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages.blocks import MAX_LINES, Blocks, Facts, face_widths, label_run, number_codes, put_values
from shirg_train.testbed.pages.fonts import load_atlas
from shirg_train.testbed.pages.ink import LABEL, VALUE, Dots, Ink, Ints, rects, runs

KIND = 5
MOST = 6
SMALLEST_DISC_PX = 20
_GREYS = np.array([60, 190, 110, 225, 150, 85])


def capacity(w: Ints, h: Ints, face: Ints, pitch: Ints) -> Ints:
    """Wedges that a block of `w × h` pixels has room for in its legend, 0 where a disc does not fit beside it."""
    room = _disc_room(w, h, face)
    return np.where(room >= SMALLEST_DISC_PX, np.minimum(h // pitch, MOST), 0)


def _disc_room(w: Ints, h: Ints, face: Ints) -> Ints:
    labels, values = face_widths()
    return np.asarray(np.minimum(w - labels[face] - values[face] - 14, h))


@lru_cache(maxsize=512)
def _disc(radius: int) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Pixels of a disc and their angle, in turns."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside = x * x + y * y <= radius * radius
    return x[inside], y[inside], np.arctan2(y, x)[inside] / (2 * np.pi) % 1


def draw(blocks: Blocks, facts: Facts) -> Ink:
    """Draw pie charts."""
    atlas = load_atlas()
    block, line = blocks.lines()
    fact, page, face, level = blocks.first[block] + line, blocks.page[block], blocks.face[block], blocks.level[block]
    share = _shares(blocks, block, line)
    numbers = number_codes(share, np.full_like(share, 2))
    put_values(facts, blocks, block, fact, numbers, KIND)
    labels = label_run(facts, blocks, block, fact)
    room = _disc_room(blocks.x1 - blocks.x0, blocks.y1 - blocks.y0, blocks.face)
    radius = np.minimum(room // 2 - 1, 60)
    legend = blocks.x0 + 2 * radius + 6
    pitch = blocks.loosened(blocks.y1 - blocks.y0, blocks.count, blocks.generator.uniform(1)[:, 0])
    x, y = legend[block], blocks.y0[block] + line * pitch[block] + 1
    cap = atlas.cap_height[face]
    value_x = x + 6 + face_widths()[0][face]
    return Ink(
        runs=[
            runs(page, x + 7, y, face, level, labels, fact, LABEL),
            runs(page, value_x, y, face, level, numbers, fact, VALUE),
        ],
        rects=[rects(page, x, y, x + 5, y + np.minimum(cap, 5), _GREYS[line % len(_GREYS)])],
        dots=_discs(blocks, radius, share),
        rest=[rects(blocks.page, legend, blocks.y0 + pitch * blocks.count + 2, blocks.x1, blocks.y1, 0)],
    )


def _shares(blocks: Blocks, block: Ints, line: Ints) -> Ints:
    """Percent of every wedge: at least 2, together 98 to 100 (shares are rounded down, as if rounded for print)."""
    weight = blocks.generator.uniform(MAX_LINES, 0.2, 1.0)[block, line].astype(np.float64)
    total = np.bincount(block, weight, len(blocks.count))
    return np.maximum(np.floor(100 * weight / total[block]).astype(np.int64), 2)


def _discs(blocks: Blocks, radius: Ints, share: Ints) -> list[Dots]:
    ends = np.cumsum(blocks.count)
    discs = []
    for k, (page, x0, y0, r) in enumerate(
        zip(blocks.page.tolist(), blocks.x0.tolist(), blocks.y0.tolist(), radius.tolist(), strict=True)
    ):
        dx, dy, turn = _disc(r)
        edges = np.cumsum(share[ends[k] - blocks.count[k] : ends[k]])
        wedge = np.searchsorted(edges[:-1] / edges[-1], turn, side="right")
        discs.append(Dots(np.full(len(dx), page), x0 + r + dx, y0 + r + dy, _GREYS[wedge]))
    return discs
