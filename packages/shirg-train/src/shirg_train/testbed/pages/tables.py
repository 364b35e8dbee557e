"""Tables: a heading row, label cells on the left, values flush right, grid lines or stripes."""

from __future__ import annotations

import numpy as np

from shirg_train.testbed.pages import forms
from shirg_train.testbed.pages.blocks import Blocks, Facts, face_widths, label_run, number_codes, put_values
from shirg_train.testbed.pages.fonts import load_atlas
from shirg_train.testbed.pages.ink import LABEL, VALUE, Ink, Ints, rects, runs
from shirg_train.testbed.pages.words import filler_codes

KIND = 1


def capacity(w: Ints, h: Ints, face: Ints, pitch: Ints) -> Ints:
    """Facts that fit a block of `w × h` pixels, under a heading row."""
    labels, values = face_widths()
    return np.asarray((w // (labels[face] + values[face] + 8)) * np.maximum(h // (pitch + 1) - 1, 0))


def draw(blocks: Blocks, facts: Facts) -> Ink:
    """Draw tables."""
    atlas, words = load_atlas(), filler_codes()
    head = blocks.pitch + 1
    n_columns, n_rows, width, pitch = forms.columns(blocks, blocks.y1 - blocks.y0 - head - blocks.count, 8)
    pitch = np.maximum(pitch, blocks.pitch + 1)
    u = blocks.generator.uniform(2)
    dark_head, striped = u[:, 0] < 0.5, u[:, 1] < 0.4
    heading = words[blocks.generator.integers(2, 0, len(words))]
    block, line = blocks.lines()
    fact, page, face = blocks.first[block] + line, blocks.page[block], blocks.face[block]
    level = blocks.level[block]
    x = blocks.x0[block] + line % n_columns[block] * width[block] + 3
    row = line // n_columns[block]
    y = blocks.y0[block] + head[block] + row * pitch[block] + 2
    right = x - 3 + width[block]
    numbers = number_codes(*forms.values(blocks, block, line))
    put_values(facts, blocks, block, fact, numbers, KIND)

    everyone, end = blocks.page, blocks.y0 + head + n_rows * pitch
    edge = blocks.x0 + n_columns * width
    grid = np.where(striped, 245, 140)
    top = rects(everyone, blocks.x0, blocks.y0, edge, blocks.y0 + head, np.where(dark_head, 60, 205))
    stripe = striped[block] & (row % 2 == 1)
    stripes = rects(page[stripe], (x - 3)[stripe], (y - 2)[stripe], right[stripe], (y - 2 + pitch[block])[stripe], 215)
    under = rects(page, x - 3, y - 2 + pitch[block], right, y - 1 + pitch[block], grid[block])
    first = row == 0
    bars = [
        rects(page[first], at[first], blocks.y0[block][first], at[first] + 1, end[block][first], grid[block][first])
        for at in (x - 3, right - 5 - face_widths()[1][face], right - 1)
    ]
    head_level = np.where(dark_head, 250, 30)
    return Ink(
        runs=[
            runs(everyone, blocks.x0 + 3, blocks.y0 + 2, blocks.face, head_level, heading[:, 0]),
            runs(page, x, y, face, level, label_run(facts, blocks, block, fact), fact, LABEL),
            runs(page, right - 3 - atlas.width(face, numbers), y, face, level, numbers, fact, VALUE),
        ],
        rects=[top, stripes, under, *bars],
        rest=[rects(everyone, blocks.x0, end + 2, blocks.x1, blocks.y1, 0)],
    )
