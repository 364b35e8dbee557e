"""Forms: `Label: value` beside each other, at the column's right edge over a rule, or in a box."""

from __future__ import annotations

import numpy as np

from shirg_train.testbed.pages.blocks import (
    MAX_LINES,
    Blocks,
    Facts,
    face_widths,
    label_run,
    number_codes,
    put_values,
    with_colon,
)
from shirg_train.testbed.pages.fonts import load_atlas
from shirg_train.testbed.pages.ink import LABEL, VALUE, Ink, Ints, Rects, rects, runs

KIND = 0
INLINE, RULED, BOXED = 0, 1, 2


def capacity(w: Ints, h: Ints, face: Ints, pitch: Ints) -> Ints:
    """Facts that fit a block of `w × h` pixels."""
    labels, values = face_widths()
    return np.asarray((w // (labels[face] + values[face] + 4)) * (h // pitch))


def values(blocks: Blocks, block: Ints, line: Ints) -> tuple[Ints, Ints]:
    """Amount and tail of every fact's number: two to four digits, a fifth of them with tenths."""
    u = blocks.generator.uniform(MAX_LINES)[block, line]
    digits = blocks.generator.integers(MAX_LINES, 2, 5)[block, line]
    tenths = blocks.generator.uniform(MAX_LINES)[block, line] < 0.2
    low = np.array([0, 0, 10, 100, 1000])[digits]
    return low + (u * (9 * low)).astype(np.int64), tenths.astype(np.int64)


def columns(blocks: Blocks, height: Ints, pad: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Columns, rows, column width and row pitch in pixels of blocks that set facts in columns, loosened at random."""
    labels, widest = face_widths()
    narrow = labels[blocks.face] + widest[blocks.face] + pad
    w, u = blocks.x1 - blocks.x0, blocks.generator.uniform(3)
    fewest = -(-blocks.count // np.maximum(height // blocks.pitch, 1))
    most = np.maximum(np.minimum(w // narrow, blocks.count), fewest)
    n_columns = fewest + (u[:, 0] * (most - fewest + 1)).astype(np.int64)
    n_rows = -(-blocks.count // n_columns)
    width = np.minimum(w // n_columns, (narrow * (1 + 0.6 * u[:, 1])).astype(np.int64))
    return n_columns, n_rows, width, blocks.loosened(height, n_rows, u[:, 2])


def draw(blocks: Blocks, facts: Facts) -> Ink:
    """Draw forms."""
    atlas = load_atlas()
    n_columns, n_rows, width, pitch = columns(blocks, blocks.y1 - blocks.y0, 4)
    style = blocks.generator.choose([0.5, 0.25, 0.25], 1)[:, 0]
    block, line = blocks.lines()
    fact, page, face = blocks.first[block] + line, blocks.page[block], blocks.face[block]
    x = blocks.x0[block] + line % n_columns[block] * width[block] + 1
    y = blocks.y0[block] + line // n_columns[block] * pitch[block] + 1
    labels = with_colon(label_run(facts, blocks, block, fact))
    numbers = number_codes(*values(blocks, block, line))
    put_values(facts, blocks, block, fact, numbers, KIND)
    number_w = atlas.width(face, numbers)
    flush = blocks.x0[block] + (line % n_columns[block] + 1) * width[block] - 3 - number_w
    value_x = np.where(style[block] == INLINE, x + atlas.width(face, labels) + atlas.advance[face, -1], flush)
    level = blocks.level[block]
    cap = atlas.cap_height[face]
    ruled, boxed = style[block] == RULED, style[block] == BOXED
    lines = rects(page, x, y + cap + 1, value_x + number_w, y + cap + 2, 160)
    left, right, top, bottom = value_x - 2, value_x + number_w + 1, y - 2, y + cap + 1
    box = [(left, top, right, top + 1), (left, bottom, right, bottom + 1), (left, top, left + 1, bottom)]
    sides = [Rects(*(side[boxed] for side in rects(page, x0, y0, x1, y1, 150))) for x0, y0, x1, y1 in box]
    end = blocks.y0 + n_rows * pitch + 1
    return Ink(
        runs=[
            runs(page, x, y, face, level, labels, fact, LABEL),
            runs(page, value_x, y, face, level, numbers, fact, VALUE),
        ],
        rects=[Rects(*(column[ruled] for column in lines)), *sides],
        rest=[rects(blocks.page, blocks.x0, end, blocks.x1, blocks.y1, 0)],
    )
