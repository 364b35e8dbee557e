"""What receipts and needles are printed on and with: the page generator's paper, clutter and faces, page by page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages.clutter import WEIGHTS, darken, fill_clutter
from shirg_train.testbed.pages.config import Tier
from shirg_train.testbed.pages.fonts import FACE_NAMES, load_atlas
from shirg_train.testbed.pages.generator import RowGenerator
from shirg_train.testbed.pages.ink import Rects, runs
from shirg_train.testbed.pages.layout import cut_pages
from shirg_train.testbed.pages.page import GROUND_STRENGTH, GROUNDS
from shirg_train.testbed.pages.plan import INSET_PX
from shirg_train.testbed.pages.raster import Grey, print_runs
from shirg_train.testbed.pages.sheets import SHEET_PX, paper
from shirg_train.testbed.pages.words import MAX_CODES, code_rows

INDENT_PX = INSET_PX + 1
"""From a block's left edge to its print, as in the page generator."""
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels."""


@dataclass(frozen=True)
class Text:
    """One run of print, `MAX_CODES` characters at most; (x, y) is the top left of its capitals in pixels."""

    x: int
    y: int
    text: str


def blank(generator: RowGenerator, size: int, tier: Tier) -> Grey:
    """A crop of blank paper: `[size, size]`."""
    x, y = generator.integers(2, 0, SHEET_PX - size)[0].tolist()
    return paper(tier.paper_noise)[y : y + size, x : x + size].copy()


def blocks(generator: RowGenerator, size: int) -> list[Box]:
    """Boxes that tile a page as the page generator's blocks do, largest first."""
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in cut_pages(generator, size)[0].tolist() if x1 > x0]


def block_left(generator: RowGenerator, boxes: list[Box], size: int, wide: int) -> int:
    """Left edge of a random block from which `wide` pixels fit the page.

    The page generator starts columns of print only at its blocks' edges, and the embedded model reads labels nowhere
    else.

    Raises:
        ValueError: wider than the page.
    """
    if wide > size:
        raise ValueError(f"{wide} px do not fit a page of {size} px")
    lefts = sorted({box[0] for box in boxes if box[0] + wide <= size})
    return lefts[int(generator.integers(1, 0, len(lefts))[0, 0])]


def clutter(page: Grey, boxes: list[Box], generator: RowGenerator) -> None:
    """Fill boxes with photographs, halftones, hatching, rules or unasked print."""
    fill_clutter(page[None], _rects(boxes), generator.choose(WEIGHTS, len(boxes))[0], _offsets(generator, len(boxes)))


def ground(page: Grey, box: Box, generator: RowGenerator, tier: Tier) -> None:
    """Lay faint texture under print, on the tier's share of pages."""
    if generator.uniform(1)[0, 0] < tier.ground:
        kinds = np.array(GROUNDS)[generator.integers(1, 0, len(GROUNDS))[0]]
        darken(page[None], _rects([box]), kinds, _offsets(generator, 1), GROUND_STRENGTH)


def write(page: Grey, texts: list[Text], face: str, level: int) -> None:
    """Print texts in one face and grey.

    Raises:
        ValueError: print outside the page, or a character outside the alphabet.
    """
    zeros = np.zeros(len(texts), np.int64)
    x, y = (np.array([getattr(text, side) for text in texts]) for side in "xy")
    codes = code_rows([text.text for text in texts], MAX_CODES)
    print_runs(page[None], runs(zeros, x, y, zeros + FACE_NAMES.index(face), level, codes))


def width(text: str, face: str) -> int:
    """Pixels that a text takes up."""
    return int(load_atlas().width(np.array([FACE_NAMES.index(face)]), code_rows([text], len(text)))[0])


def height(face: str) -> int:
    """Pixels from the top of capitals to the end of descenders."""
    return int(load_atlas().line_height[FACE_NAMES.index(face)])


def _rects(boxes: list[Box]) -> Rects:
    x0, y0, x1, y1 = np.array(boxes, np.int64).reshape(-1, 4).T
    return Rects(np.zeros_like(x0), x0, y0, x1, y1, np.zeros_like(x0))


def _offsets(generator: RowGenerator, n: int) -> NDArray[np.float32]:
    return generator.uniform(2 * n).reshape(n, 2)
