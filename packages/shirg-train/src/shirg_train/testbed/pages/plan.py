"""Deciding what stands where on every page of a batch, before anything is drawn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages import bars, forms, pies, tables
from shirg_train.testbed.pages.blocks import GAP_PX, Blocks, Facts
from shirg_train.testbed.pages.config import FACT_KINDS, KINDS, PageConfig
from shirg_train.testbed.pages.fonts import FACE_NAMES, TINY, load_atlas
from shirg_train.testbed.pages.generator import RowGenerator
from shirg_train.testbed.pages.ink import Ints, Rects
from shirg_train.testbed.pages.layout import cut_pages, smallest_main
from shirg_train.testbed.pages.words import BLANK, LABELS, MAX_VALUE

INSET_PX = 2
_CAPACITY = (
    forms.capacity,
    tables.capacity,
    bars.lying_capacity,
    bars.upright_capacity,
    bars.upright_capacity,
    pies.capacity,
)
_CLUTTER = KINDS.index("clutter")


class Plan(NamedTuple):
    """A batch before drawing: facts (values still empty), blocks by kind, areas of pure clutter."""

    facts: Facts
    blocks: dict[int, Blocks]
    clutter: Rects


class _Boxes(NamedTuple):
    """All blocks of all pages that have an area; `main` is each page's largest."""

    page: Ints
    order: Ints
    x0: Ints
    y0: Ints
    x1: Ints
    y1: Ints

    @property
    def area(self) -> Ints:
        return (self.x1 - self.x0) * (self.y1 - self.y0)


def plan_pages(generator: RowGenerator, config: PageConfig) -> Plan:
    """Plan one page for every stream of `generator`."""
    grid = cut_pages(generator, config.size, config.parts)
    n_pages, n_blocks = grid.shape[:2]
    most_facts = min(config.facts[1] + n_blocks, len(LABELS))
    kind_grid = generator.choose(config.difficulty.kinds, n_blocks)
    kind_grid[:, :: n_blocks // config.parts**2] = generator.choose(config.kinds, config.parts**2)
    target = generator.integers(1, config.facts[0], config.facts[1] + 1)[:, 0]
    page, order = np.nonzero(grid[..., 2] > grid[..., 0])
    x0, y0, x1, y1 = grid[page, order].T
    boxes = _Boxes(page, order, x0 + INSET_PX, y0 + INSET_PX, x1 - INSET_PX, y1 - INSET_PX)
    streams = generator.at(page, order)
    kind, face, most = _fit(boxes, kind_grid[page, order], streams, config)
    kind, face, count = _deal(boxes, kind, face, most, target, config)
    before = np.cumsum(count) - count
    first = before - before[np.searchsorted(page, np.arange(n_pages))][page]
    # On the largest pages blocks are many; those that find no label left stay empty.
    count = np.clip(most_facts - first, 0, count)
    level = (streams.uniform(1)[:, 0] * config.difficulty.faintest).astype(np.int64)
    case = streams.choose([0.45, 0.4, 0.15], 1)[:, 0]
    every = Blocks(page, boxes.x0, boxes.y0, boxes.x1, boxes.y1, face, count, first, level, case, streams)
    blocks = {}
    for k in range(FACT_KINDS):
        rows = np.flatnonzero((kind == k) & (count > 0))
        if len(rows):
            blocks[k] = every.take(rows, salt=k)
    pure = kind == _CLUTTER
    facts = Facts(
        label=generator.permutation(len(LABELS))[:, :most_facts].astype(np.int16),
        value=np.full((n_pages, most_facts, MAX_VALUE), BLANK, np.int16),
        face=np.full((n_pages, most_facts), -1, np.int16),
        kind=np.full((n_pages, most_facts), -1, np.int16),
    )
    return Plan(facts, blocks, Rects(*(column[pure] for column in (page, *boxes[2:], kind))))


def _fit(boxes: _Boxes, kind: Ints, streams: RowGenerator, config: PageConfig) -> tuple[Ints, Ints, Ints]:
    """Kind, face and capacity of every block: a random face among those of which it holds two facts or more.

    A block where no face fits becomes a form in tiny print, and clutter (on a plain page: blank) if that fails too.
    """
    atlas = load_atlas()
    faces = np.array([FACE_NAMES.index(name) for name in config.faces])
    pitch = atlas.line_height[faces].astype(np.int64) + GAP_PX
    w, h = (boxes.x1 - boxes.x0)[:, None], (boxes.y1 - boxes.y0)[:, None]
    room = np.zeros((len(kind), len(faces)), np.int64)
    for k, capacity in enumerate(_CAPACITY):
        rows = kind == k
        room[rows] = capacity(w[rows], h[rows], faces, pitch)
    wish = np.where(room >= 2, streams.uniform(len(faces)), -1.0)
    pick = wish.argmax(1)
    most, face = room[np.arange(len(pick)), pick], faces[pick]
    tiny = FACE_NAMES.index(TINY)
    unfit = (kind < FACT_KINDS) & (most < 2)
    small = forms.capacity(w[unfit, 0], h[unfit, 0], np.array(tiny), np.array(atlas.line_height[tiny] + GAP_PX))
    out = _CLUTTER if config.difficulty.kinds[-1] == 0 else len(KINDS) - 1
    kind, face, most = kind.copy(), face.copy(), most.copy()
    kind[unfit] = np.where(small > 0, forms.KIND, out)
    face[unfit], most[unfit] = tiny, small
    return kind, face, np.where(kind < FACT_KINDS, most, 0)


def _deal(
    boxes: _Boxes, kind: Ints, face: Ints, most: Ints, target: Ints, config: PageConfig
) -> tuple[Ints, Ints, Ints]:
    """Kind, face and number of facts of every block: each page's target, shared out by area.

    Where that leaves fewer facts than questions, the main block becomes a form in tiny print and holds the rest.
    """
    area = np.where(most > 0, boxes.area, 0)
    total = np.bincount(boxes.page, area, len(target))[boxes.page]
    wanted = np.rint(target[boxes.page] * area / np.maximum(total, 1)).astype(np.int64)
    count = np.clip(wanted, np.minimum(1, most), most)
    missing = config.questions - np.bincount(boxes.page, count, len(target)).astype(np.int64)
    short = (boxes.order == 0) & (missing[boxes.page] > 0)
    count = count + np.where(short, missing[boxes.page], 0)
    tiny = FACE_NAMES.index(TINY)
    return np.where(short, forms.KIND, kind), np.where(short, tiny, face), count


def check_questions(config: PageConfig) -> None:
    """Whether every page can hold as many facts as are asked.

    Raises:
        ValueError: it cannot.
    """
    w, h = (np.array(side - 2 * INSET_PX) for side in smallest_main(config.size // config.parts))
    tiny = np.array(FACE_NAMES.index(TINY))
    most: NDArray[np.int64] = forms.capacity(w, h, tiny, np.array(load_atlas().line_height[tiny] + GAP_PX))
    if config.questions > most:
        raise ValueError(f"pages of {config.size} px hold {int(most)} questions at most, got {config.questions}")
