"""What every patch shows, from where every glyph was printed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages.batch import IGNORE, PageBatch
from shirg_train.testbed.pages.blocks import Facts
from shirg_train.testbed.pages.config import PageConfig
from shirg_train.testbed.pages.ink import LABEL, VALUE, Ints, Rects, Runs
from shirg_train.testbed.pages.raster import Glyphs
from shirg_train.testbed.pages.words import ALPHABET

_LAST_FIGURE_OR_LETTER = ALPHABET.index("z")


def ask(out: PageBatch, facts: Facts, keys: NDArray[np.float32]) -> Ints:
    """Choose the questions: the facts with the smallest `keys [B, M]`, and record them; returns `[B, Q]` facts."""
    asked = np.argsort(np.where(facts.kind >= 0, keys, 2.0), axis=1)[:, : out.question_labels.shape[1]]
    out.question_labels[:] = np.take_along_axis(facts.label, asked, 1)
    out.question_faces[:] = np.take_along_axis(facts.face, asked, 1)
    out.question_kinds[:] = np.take_along_axis(facts.kind, asked, 1)
    out.answer_codes[:] = np.take_along_axis(facts.value, asked[..., None], 1)
    return asked


def record(
    out: PageBatch, config: PageConfig, facts: Facts, asked: Ints, runs: Runs, glyphs: Glyphs, unread: Rects
) -> None:
    """Fill the truth of a fresh batch."""
    page, fact, role = runs.page[glyphs.run], runs.fact[glyphs.run], runs.role[glyphs.run]
    x, y = (glyphs.x0 + glyphs.x1) // 2, (glyphs.y0 + glyphs.y1) // 2
    patch = y // config.patch * config.side + x // config.patch
    _fill_cells(out, config, facts, page, patch, x, y, fact, role, glyphs)
    _ignore(out, config, unread)
    n_pages, n_facts = facts.label.shape
    question = np.full((n_pages, n_facts + 1), -1)
    np.put_along_axis(question, asked, np.arange(asked.shape[1])[None], axis=1)
    of_glyph = question[page, fact]
    out.pointers[:] = -1
    value = (role == VALUE) & (of_glyph >= 0)
    out.pointers[page[value], of_glyph[value], glyphs.place[value]] = patch[value]
    for touched, wanted in ((out.answer_patches, VALUE), (out.label_patches, LABEL)):
        rows = (role == wanted) & (of_glyph >= 0) & (glyphs.x1 > glyphs.x0)
        _touch(touched, config, page[rows], of_glyph[rows], Glyphs(*(column[rows] for column in glyphs)))


def _fill_cells(
    out: PageBatch, config: PageConfig, facts: Facts, page: Ints, patch: Ints, x: Ints, y: Ints, fact: Ints,
    role: Ints, glyphs: Glyphs,
) -> None:  # fmt: skip
    rows, columns = config.slots
    cell = y % config.patch * rows // config.patch * columns + x % config.patch * columns // config.patch
    owner = np.where(fact >= 0, facts.label[page, fact] + 1, 0)
    place = np.where(role == VALUE, glyphs.place + 1, 0)
    left, top = x // config.patch * config.patch, y // config.patch * config.patch
    wide = np.minimum(glyphs.x1, left + config.patch) - np.maximum(glyphs.x0, left)
    high = np.minimum(glyphs.y1, top + config.patch) - np.maximum(glyphs.y0, top)
    area = np.maximum((glyphs.x1 - glyphs.x0) * (glyphs.y1 - glyphs.y0), 1)
    cut = 100 - 100 * wide * high // area
    # Marks go first: where a point shares a cell with a figure, the figure stays.
    mark = glyphs.code > _LAST_FIGURE_OR_LETTER
    inked = glyphs.x1 > glyphs.x0
    for some in (mark & inked, ~mark & inked):
        at = page[some], patch[some], cell[some]
        out.chars[at] = glyphs.code[some] + 1
        out.owners[at] = owner[some]
        out.places[at] = place[some]
        out.cut[at] = cut[some]


def _ignore(out: PageBatch, config: PageConfig, unread: Rects) -> None:
    side, p = config.side, config.patch
    n_pages = len(out)
    chars = out.chars.reshape(n_pages, side, side, -1)
    for page, x0, y0, x1, y1 in zip(*(column.tolist() for column in unread[:5]), strict=True):
        area = chars[page, y0 // p : -(-y1 // p), x0 // p : -(-x1 // p)]
        area[area == 0] = IGNORE


def _touch(touched: NDArray[np.bool_], config: PageConfig, page: Ints, question: Ints, glyphs: Glyphs) -> None:
    """Mark every patch that the boxes of glyphs overlap."""
    first_x, last_x = glyphs.x0 // config.patch, (glyphs.x1 - 1) // config.patch
    first_y, last_y = glyphs.y0 // config.patch, (glyphs.y1 - 1) // config.patch
    for down in range(int((last_y - first_y).max(initial=0)) + 1):
        for right in range(int((last_x - first_x).max(initial=0)) + 1):
            row, column = np.minimum(first_y + down, last_y), np.minimum(first_x + right, last_x)
            touched[page, question, row * config.side + column] = True
