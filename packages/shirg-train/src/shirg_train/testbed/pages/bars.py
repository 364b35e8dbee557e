"""Bar charts, upright and lying, each bar with its label and its value printed at its end."""

from __future__ import annotations

import numpy as np

from shirg_train.testbed.pages.blocks import MAX_LINES, Blocks, Facts, face_widths, label_run, number_codes, put_values
from shirg_train.testbed.pages.fonts import load_atlas
from shirg_train.testbed.pages.ink import LABEL, VALUE, Ink, Ints, Runs, rects, runs

LYING, UPRIGHT = 2, 3
MOST = 8


def lying_capacity(w: Ints, h: Ints, face: Ints, pitch: Ints) -> Ints:
    """Lying bars that fit a block of `w × h` pixels."""
    labels, values = face_widths()
    return np.where(w >= labels[face] + values[face] + 16, np.minimum(h // pitch, MOST), 0)


def upright_capacity(w: Ints, h: Ints, face: Ints, pitch: Ints) -> Ints:
    """Upright bars (or points of a line chart) that fit a block of `w × h` pixels, beside the axis' ticks."""
    labels, values = face_widths()
    wide = np.maximum(labels[face], values[face]) + 1
    return np.where(h >= 3 * pitch + 14, np.minimum((w - values[face]) // wide, MOST), 0)


def amounts(blocks: Blocks, block: Ints, line: Ints) -> tuple[Ints, Ints]:
    """Amount of every bar, and the end of its chart's axis (100 or 1000)."""
    most = np.where(blocks.generator.uniform(1)[:, 0] < 0.5, 100, 1000)[block]
    u = blocks.generator.uniform(MAX_LINES)[block, line]
    return (most * (0.1 + 0.9 * u)).astype(np.int64), most


def draw_lying(blocks: Blocks, facts: Facts) -> Ink:
    """Draw charts of lying bars."""
    atlas = load_atlas()
    labels_w, values_w = (column[blocks.face] for column in face_widths())
    pitch = blocks.loosened(blocks.y1 - blocks.y0, blocks.count, blocks.generator.uniform(1)[:, 0])
    grey = blocks.generator.integers(1, 70, 200)[:, 0]
    block, line = blocks.lines()
    fact, page, face, level = blocks.first[block] + line, blocks.page[block], blocks.face[block], blocks.level[block]
    axis = blocks.x0 + labels_w
    room = blocks.x1 - axis - values_w - 4
    y = blocks.y0[block] + line * pitch[block] + 1
    amount, most = amounts(blocks, block, line)
    numbers = number_codes(amount, np.zeros_like(amount))
    put_values(facts, blocks, block, fact, numbers, LYING)
    labels = label_run(facts, blocks, block, fact)
    end = axis[block] + 1 + np.maximum(amount * room[block] // most, 1)
    return Ink(
        runs=[
            runs(page, axis[block] - 3 - atlas.width(face, labels), y, face, level, labels, fact, LABEL),
            runs(page, end + 2, y, face, level, numbers, fact, VALUE),
        ],
        rects=[
            rects(page, axis[block], y, end, y + atlas.cap_height[face], grey[block]),
            rects(blocks.page, axis - 1, blocks.y0, axis, blocks.y0 + pitch * blocks.count, 90),
        ],
        rest=[rects(blocks.page, blocks.x0, blocks.y0 + pitch * blocks.count + 2, blocks.x1, blocks.y1, 0)],
    )


def axes(blocks: Blocks, most: Ints) -> tuple[Ints, Ints, Ints, list[Runs]]:
    """Left end and foot of the axes of upright charts, height of a full bar, and the ticks' print."""
    atlas = load_atlas()
    x = blocks.x0 + face_widths()[1][blocks.face] - 2
    foot = blocks.y1 - blocks.pitch
    full = foot - blocks.y0 - blocks.pitch - 1
    ticks = []
    for part in (0, 2):
        codes = number_codes(most * (1 + part) // 4, np.zeros_like(most))
        at = x - 3 - atlas.width(blocks.face, codes)
        y = foot - full * (1 + part) // 4 - atlas.cap_height[blocks.face] // 2
        ticks.append(runs(blocks.page, at, y, blocks.face, np.maximum(blocks.level, 90), codes))
    return x, foot, full, ticks


def draw_upright(blocks: Blocks, facts: Facts) -> Ink:
    """Draw charts of upright bars."""
    atlas = load_atlas()
    grey = blocks.generator.integers(1, 70, 200)[:, 0]
    block, line = blocks.lines()
    fact, page, face, level = blocks.first[block] + line, blocks.page[block], blocks.face[block], blocks.level[block]
    amount, most = amounts(blocks, block, line)
    of_block = most[np.cumsum(blocks.count) - blocks.count]
    x, foot, full, ticks = axes(blocks, of_block)
    step = (blocks.x1 - x) // blocks.count
    centre = x[block] + line * step[block] + step[block] // 2
    numbers = number_codes(amount, np.zeros_like(amount))
    put_values(facts, blocks, block, fact, numbers, UPRIGHT)
    labels = label_run(facts, blocks, block, fact)
    top = foot[block] - np.maximum(amount * full[block] // most, 1)
    half = np.maximum(step[block] // 4, 2)
    return Ink(
        runs=[
            *ticks,
            runs(page, centre - atlas.width(face, labels) // 2, foot[block] + 2, face, level, labels, fact, LABEL),
            runs(
                page,
                centre - atlas.width(face, numbers) // 2,
                top - atlas.cap_height[face] - 1,
                face,
                level,
                numbers,
                fact,
                VALUE,
            ),
        ],
        rects=[
            rects(page, centre - half, top, centre + half, foot[block], grey[block]),
            rects(blocks.page, x, foot, blocks.x1, foot + 1, 60),
            rects(blocks.page, x, blocks.y0, x + 1, foot, 60),
        ],
    )
