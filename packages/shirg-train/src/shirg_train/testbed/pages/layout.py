"""Cutting a page into blocks: templates on a coarse grid, cut once; a page picks one and bends its lines."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages.generator import RowGenerator

CELL_PX = 80
N_TEMPLATES = 64
BEND = 0.1
"""How far a line may lie from where its template has it, in cells."""
_Cells: TypeAlias = tuple[int, int, int, int]


def grid_side(size: int) -> int:
    """Cells along a page's side, of about `CELL_PX` pixels."""
    return max(2, round(size / CELL_PX))


@lru_cache(maxsize=16)
def templates(side: int) -> NDArray[np.int64]:
    """`[N_TEMPLATES, blocks, 4]` rectangles (x0, y0, x1, y1) in cells, largest first, zeros after the last one.

    Every template's largest block has at least two cells side by side. Read-only: shared between calls.
    """
    dealer = random.Random(side)
    cut: list[list[_Cells]] = []
    while len(cut) < N_TEMPLATES:
        blocks = _cut((0, 0, side, side), dealer)
        blocks.sort(key=lambda b: (b[2] - b[0]) * (b[3] - b[1]), reverse=True)
        if blocks[0][2] - blocks[0][0] >= 2:
            cut.append(blocks)
    table = np.zeros((N_TEMPLATES, max(map(len, cut)), 4), np.int64)
    for row, blocks in zip(table, cut, strict=True):
        row[: len(blocks)] = blocks
    return table


def _cut(box: _Cells, dealer: random.Random) -> list[_Cells]:
    """Cut a rectangle in two, again and again; large ones are always cut, small ones often."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    if w * h == 1 or (w * h <= 6 and dealer.random() < 0.15 + 0.2 * (w * h <= 2)):
        return [box]
    if dealer.random() * (w + h) < (w if w > 1 else 0) or h == 1:
        at = dealer.randint(x0 + 1, x1 - 1)
        return _cut((x0, y0, at, y1), dealer) + _cut((at, y0, x1, y1), dealer)
    at = dealer.randint(y0 + 1, y1 - 1)
    return _cut((x0, y0, x1, at), dealer) + _cut((x0, at, x1, y1), dealer)


def cut_pages(generator: RowGenerator, size: int, parts: int = 1) -> NDArray[np.int64]:
    """Rectangles in pixels that tile each page; those without area are none.

    Returns:
        `[B, blocks, 4]`, the parts in raster order with as many blocks each, the largest of each first.
    """
    part = size // parts
    side = grid_side(part)
    table = templates(side)
    picked = table[generator.integers(parts * parts, 0, len(table))]
    bend = generator.uniform(parts * parts * 2 * (side + 1), -BEND, BEND)
    bend = bend.reshape(len(generator), parts * parts, 2, side + 1)
    bend[..., [0, -1]] = 0
    corner = np.stack(np.divmod(np.arange(parts * parts), parts)[::-1], axis=-1) * part
    lines = np.rint((np.arange(side + 1) + bend) * part / side).astype(np.int64) + corner[..., None]
    blocks = np.take_along_axis(lines[:, :, [0, 1, 0, 1]].transpose(0, 1, 3, 2), picked, axis=2)
    return blocks.reshape(len(generator), -1, 4)


def smallest_main(size: int) -> tuple[int, int]:
    """Width and height in pixels that the largest block of every page, or part, of this size has at least."""
    side = grid_side(size)
    main = templates(side)[:, 0]
    # Only lines inside the page bend, and each by at most `BEND` cells; rounding costs a pixel at either end.
    slack = BEND * ((main[:, :2] > 0).astype(float) + (main[:, 2:] < side))
    w, h = np.floor((main[:, 2:] - main[:, :2] - slack).min(0) * size / side).astype(int).tolist()
    return w - 1, h - 1
