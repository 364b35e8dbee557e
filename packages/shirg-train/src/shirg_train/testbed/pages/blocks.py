"""Blocks that hold facts: which kind, which face, how many facts, and where each fact's line is counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages.fonts import FACE_NAMES, load_atlas
from shirg_train.testbed.pages.generator import RowGenerator
from shirg_train.testbed.pages.ink import Ints
from shirg_train.testbed.pages.words import BLANK, MAX_VALUE, encode, label_codes

GAP_PX = 2
"""Between lines of print at their tightest."""
MAX_LINES = 96
"""Facts that one block can hold."""


@dataclass(frozen=True)
class Facts:
    """Facts of a batch of pages; kinds write values into it as they draw.

    Attributes:
        label: `[B, M]` index into `LABELS`.
        value: `[B, M, MAX_VALUE]` codes of the printed value.
        face: `[B, M]` index into `FACE_NAMES`.
        kind: `[B, M]` index into `KINDS`, −1 where there is no fact.
    """

    label: NDArray[np.int16]
    value: NDArray[np.int16]
    face: NDArray[np.int16]
    kind: NDArray[np.int16]


@dataclass(frozen=True)
class Blocks:
    """K blocks of one kind, of any pages.

    Attributes:
        page: `[K]` row of the batch.
        x0: `[K]` pixels, as are the other sides.
        y0: see `x0`.
        x1: see `x0`.
        y1: see `x0`.
        face: `[K]` index into `FACE_NAMES`.
        count: `[K]` facts in the block.
        first: `[K]` the first one's index on its page.
        level: `[K]` grey of the print.
        case: `[K]` 0 upper, 1 title, 2 lower.
        generator: K streams.
    """

    page: Ints
    x0: Ints
    y0: Ints
    x1: Ints
    y1: Ints
    face: Ints
    count: Ints
    first: Ints
    level: Ints
    case: Ints
    generator: RowGenerator

    def take(self, rows: Ints, salt: int) -> Blocks:
        """Some of the blocks, with streams of their own."""
        columns = {name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "generator"}
        return Blocks(**columns, generator=self.generator.at(rows, salt))

    @property
    def pitch(self) -> Ints:
        """`[K]` pixels from line to line at the tightest."""
        return load_atlas().line_height[self.face].astype(np.int64) + GAP_PX

    def loosened(self, height: Ints, lines: Ints, draws: NDArray[np.float32]) -> Ints:
        """`[K]` pixels from line to line of `lines` in a `height`, at random up to twice the tightest; `draws [K]`."""
        loosest = np.clip(height // lines, self.pitch, 2 * self.pitch)
        return np.asarray(self.pitch + (draws * (loosest - self.pitch + 1)).astype(np.int64))

    def lines(self) -> tuple[Ints, Ints]:
        """Block and place in the block of every fact, block by block."""
        block = np.repeat(np.arange(len(self.count)), self.count)
        return block, np.arange(len(block)) - np.repeat(np.cumsum(self.count) - self.count, self.count)


@lru_cache(maxsize=1)
def face_widths() -> tuple[Ints, Ints]:
    """`[faces]` pixels of the widest label with a colon and a space, and of the widest value. Read-only: shared."""
    atlas, every = load_atlas(), label_codes().reshape(-1, label_codes().shape[-1])
    faces = range(len(FACE_NAMES))
    labels = [int(atlas.width(np.full(len(every), f), every).max()) for f in faces]
    ends = atlas.advance[:, encode(": ")].sum(1)
    values = atlas.advance[:, encode("0123456789")].max(1) * (MAX_VALUE - 1) + atlas.advance[:, encode(".")[0]]
    return np.array(labels) + ends, np.maximum(values, atlas.advance[:, encode("00%")].sum(1))


def label_run(facts: Facts, blocks: Blocks, block: Ints, fact: Ints) -> NDArray[np.int16]:
    """Codes of the labels of facts, in their block's case: `[R, MAX_CODES]`."""
    return label_codes()[facts.label[blocks.page[block], fact], blocks.case[block]]


def with_colon(codes: NDArray[np.int16]) -> NDArray[np.int16]:
    """Runs with a colon after their last character."""
    out = codes.copy()
    out[np.arange(len(out)), (codes >= 0).sum(1)] = encode(":")[0]
    return out


def number_codes(amount: Ints, tail: Ints) -> NDArray[np.int16]:
    """Print numbers: `[R, MAX_VALUE]` codes.

    Args:
        amount: `[R]` integers 0 … 9999.
        tail: `[R]` 0 = as it is, 1 = tenths (`4827` → `482.7`), 2 = a percent sign after at most three digits.
    """
    digits = amount[:, None] // np.array([1000, 100, 10, 1]) % 10
    n_digits = np.maximum(np.searchsorted(np.array([10, 100, 1000]), amount, side="right") + 1, 1 + (tail == 1))
    out = np.full((len(amount), MAX_VALUE), BLANK, np.int16)
    rows = np.arange(len(amount))
    for place in range(4):
        at = place - (4 - n_digits)
        at = at + ((tail == 1) & (place == 3))
        shown = place >= 4 - n_digits
        out[rows[shown], at[shown]] = digits[shown, place]
    for kind, mark, back in ((1, ".", 1), (2, "%", 0)):
        marked = tail == kind
        out[rows[marked], n_digits[marked] - back] = encode(mark)[0]
    return out


def put_values(facts: Facts, blocks: Blocks, block: Ints, fact: Ints, codes: NDArray[np.int16], kind: int) -> None:
    """Record what a kind prints."""
    page = blocks.page[block]
    facts.value[page, fact] = codes
    facts.face[page, fact] = blocks.face[block]
    facts.kind[page, fact] = kind
