"""Line charts: points joined by straight lines, each with its value above it and its label under the axis."""

from __future__ import annotations

import numpy as np

from shirg_train.testbed.pages.bars import amounts, axes
from shirg_train.testbed.pages.blocks import Blocks, Facts, label_run, number_codes, put_values
from shirg_train.testbed.pages.fonts import load_atlas
from shirg_train.testbed.pages.ink import LABEL, VALUE, Dots, Ink, rects, runs

KIND = 4
STEPS = 128
"""Dots per straight line."""


def draw(blocks: Blocks, facts: Facts) -> Ink:
    """Draw line charts."""
    atlas = load_atlas()
    block, line = blocks.lines()
    fact, page, face, level = blocks.first[block] + line, blocks.page[block], blocks.face[block], blocks.level[block]
    amount, most = amounts(blocks, block, line)
    x, foot, full, ticks = axes(blocks, most[np.cumsum(blocks.count) - blocks.count])
    step = (blocks.x1 - x) // blocks.count
    centre = x[block] + line * step[block] + step[block] // 2
    numbers = number_codes(amount, np.zeros_like(amount))
    put_values(facts, blocks, block, fact, numbers, KIND)
    labels = label_run(facts, blocks, block, fact)
    y = foot[block] - np.maximum(amount * full[block] // most, 2)
    left = np.flatnonzero(block[1:] == block[:-1])
    t = np.arange(STEPS) / STEPS
    dot_x = np.rint(centre[left, None] + (centre[left + 1] - centre[left])[:, None] * t).astype(np.int64).ravel()
    dot_y = np.rint(y[left, None] + (y[left + 1] - y[left])[:, None] * t).astype(np.int64).ravel()
    dot_page = np.repeat(page[left], STEPS)
    number_w, cap = atlas.width(face, numbers), atlas.cap_height[face]
    value_x, value_y = centre - number_w // 2, y - cap - 3
    return Ink(
        runs=[
            *ticks,
            runs(page, centre - atlas.width(face, labels) // 2, foot[block] + 2, face, level, labels, fact, LABEL),
            runs(page, value_x, value_y, face, level, numbers, fact, VALUE),
        ],
        rects=[
            rects(blocks.page, x, foot, blocks.x1, foot + 1, 60),
            rects(blocks.page, x, blocks.y0, x + 1, foot, 60),
        ],
        dots=[Dots(dot_page, dot_x, dot_y, np.full(len(dot_x), 80))],
        halos=[
            rects(page, centre - 1, y - 1, centre + 2, y + 2, 40),
            rects(page, value_x - 1, value_y - 1, value_x + number_w, value_y + cap + 1, 236),
        ],
    )
