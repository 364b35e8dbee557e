"""Drawing pages: seeds in, a `PageBatch` out. A page depends on its seed and the config alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages import bars, forms, lines, pies, tables
from shirg_train.testbed.pages.batch import PageBatch, allocate
from shirg_train.testbed.pages.clutter import WEIGHTS, darken, fill_clutter
from shirg_train.testbed.pages.config import PageConfig
from shirg_train.testbed.pages.generator import RowGenerator
from shirg_train.testbed.pages.ink import Ink, Rects, join_rects, join_runs, overlay
from shirg_train.testbed.pages.plan import Plan, check_questions, plan_pages
from shirg_train.testbed.pages.raster import Grey, fill_dots, fill_rects, print_runs
from shirg_train.testbed.pages.sheets import HALFTONE, HATCHING, PHOTO, PRINT, RULED, SHEET_PX, paper
from shirg_train.testbed.pages.tint import tint
from shirg_train.testbed.pages.truth import ask, record

CHUNK = 64
"""Pages drawn at once: large enough to spread NumPy's cost per call, small enough to stay in the cache."""
GROUND_STRENGTH, WATERMARK_STRENGTH = 0.3, 0.22
GROUNDS = (PHOTO, HALFTONE, HATCHING, RULED)
_DRAW = (forms.draw, tables.draw, bars.draw_lying, bars.draw_upright, lines.draw, pies.draw)


def draw_pages(config: PageConfig, seeds: Sequence[int]) -> PageBatch:
    """Draw one page for every seed.

    Args:
        config: the pages'.
        seeds: B integers ≥ 0, see `split_seed`.

    Raises:
        ValueError: pages too small for their questions.
    """
    check_questions(config)
    batch = allocate(config, len(seeds))
    batch.seeds[:] = seeds
    for start in range(0, len(seeds), CHUNK):
        part = slice(start, start + CHUNK)
        _draw(config, PageBatch(*(getattr(batch, name)[part] for name in PageBatch.__dataclass_fields__)))
    return batch


def _draw(config: PageConfig, out: PageBatch) -> None:
    generator = RowGenerator(out.seeds)
    plan = plan_pages(generator, config)
    ink = overlay([_DRAW[kind](blocks, plan.facts) for kind, blocks in plan.blocks.items()])
    pages = out.images if config.channels == 1 else np.empty(out.images.shape[:3], np.uint8)
    unread = _lay_paper(pages, generator, config, plan, ink)
    fill_rects(pages, join_rects(ink.rects))
    for dots in ink.dots:
        fill_dots(pages, dots)
    fill_rects(pages, join_rects(ink.halos))
    runs = join_runs(ink.runs)
    glyphs = print_runs(pages, runs)
    asked = ask(out, plan.facts, generator.uniform(plan.facts.label.shape[1]))
    record(out, config, plan.facts, asked, runs, glyphs, unread)
    if config.channels == 3:
        tint(pages, generator, out.images)


def _lay_paper(pages: Grey, generator: RowGenerator, config: PageConfig, plan: Plan, ink: Ink) -> Rects:
    """Paper, watermarks, clutter and grounds; returns the areas of dense print."""
    size, tier = config.size, config.difficulty
    blank = paper(tier.paper_noise)
    for page, (x, y) in zip(pages, generator.integers(2, 0, SHEET_PX - size).tolist(), strict=True):
        page[:] = blank[y : y + size, x : x + size]
    marked = np.flatnonzero(generator.uniform(1)[:, 0] < tier.watermark)
    whole = Rects(marked, *(np.full(len(marked), side) for side in (0, 0, size, size, 0)))
    darken(pages, whole, np.full(len(marked), PRINT), generator.uniform(2)[marked], WATERMARK_STRENGTH)
    rest = join_rects(ink.rest)
    roomy = (rest.x1 - rest.x0 >= 8) & (rest.y1 - rest.y0 >= 8) & _happens(generator, rest, tier.filler)
    areas = join_rects([plan.clutter, Rects(*(column[roomy] for column in rest))])
    grounds = join_rects([Rects(b.page, b.x0, b.y0, b.x1, b.y1, b.level) for b in plan.blocks.values()])
    grounds = Rects(*(column[_happens(generator, grounds, tier.ground)] for column in grounds))
    below = generator.at(grounds.page, 5_000_000 + grounds.y0 * size + grounds.x0)
    grains = np.array(GROUNDS)[below.choose([1.0] * len(GROUNDS), 1)[:, 0]]
    darken(pages, grounds, grains, below.uniform(2), GROUND_STRENGTH)
    streams = generator.at(areas.page, 1000 + areas.y0 * size + areas.x0)
    kinds = streams.choose(WEIGHTS, 1)[:, 0]
    fill_clutter(pages, areas, kinds, streams.uniform(2))
    dense = kinds == PRINT
    return Rects(*(column[dense] for column in areas))


def _happens(generator: RowGenerator, rects: Rects, share: float) -> NDArray[np.bool_]:
    """A coin for every rectangle, thrown by its place on its page."""
    return generator.at(rects.page, 9_000_000 + rects.y0 * 2048 + rects.x0).uniform(1)[:, 0] < share
