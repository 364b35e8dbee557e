"""What blocks draw, before it is drawn: flat lists of runs of print, filled rectangles and dots of all pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages.words import MAX_CODES

Ints = NDArray[np.int64]
OTHER, LABEL, VALUE = 0, 1, 2
"""Roles of a run."""


class Runs(NamedTuple):
    """R runs of print.

    Attributes:
        page: `[R]` row of the batch.
        x: `[R]` pixels, left of the first glyph.
        y: `[R]` pixels, top of capitals.
        face: `[R]` index into `FACE_NAMES`.
        level: `[R]` grey that full coverage is printed in.
        fact: `[R]` fact of the page that the run belongs to, −1 for none.
        role: `[R]` `OTHER`, `LABEL` or `VALUE`.
        codes: `[R, MAX_CODES]` characters.
    """

    page: Ints
    x: Ints
    y: Ints
    face: Ints
    level: Ints
    fact: Ints
    role: Ints
    codes: NDArray[np.int16]


class Rects(NamedTuple):
    """R rectangles of one grey: pixels x0 … x1 − 1, y0 … y1 − 1 of a page."""

    page: Ints
    x0: Ints
    y0: Ints
    x1: Ints
    y1: Ints
    level: Ints


class Dots(NamedTuple):
    """R pixels of one grey."""

    page: Ints
    x: Ints
    y: Ints
    level: Ints


class Ink(NamedTuple):
    """One drawing; rectangles lie under dots, dots under halos, halos under print.

    `rest` are rectangles that the drawing leaves empty (their level means nothing).
    """

    runs: Sequence[Runs] = ()
    rects: Sequence[Rects] = ()
    dots: Sequence[Dots] = ()
    halos: Sequence[Rects] = ()
    rest: Sequence[Rects] = ()


def overlay(drawings: Sequence[Ink]) -> Ink:
    """Several drawings as one."""
    return Ink(
        runs=[part for drawing in drawings for part in drawing.runs],
        rects=[part for drawing in drawings for part in drawing.rects],
        dots=[part for drawing in drawings for part in drawing.dots],
        halos=[part for drawing in drawings for part in drawing.halos],
        rest=[part for drawing in drawings for part in drawing.rest],
    )


def runs(
    page: Ints,
    x: Ints,
    y: Ints,
    face: Ints,
    level: Ints | int,
    codes: NDArray[np.int16],
    fact: Ints | int = -1,
    role: int = OTHER,
) -> Runs:
    """Runs with scalars spread over all of them and codes widened to `MAX_CODES`."""
    n = len(page)
    wide = np.pad(codes, ((0, 0), (0, MAX_CODES - codes.shape[1])), constant_values=-1)
    return Runs(page, x, y, face, np.broadcast_to(level, n), np.broadcast_to(fact, n), np.full(n, role), wide)


def rects(page: Ints, x0: Ints, y0: Ints, x1: Ints, y1: Ints, level: Ints | int) -> Rects:
    """Rectangles with a scalar grey spread over all of them."""
    return Rects(page, x0, y0, x1, y1, np.broadcast_to(level, len(page)))


def join_runs(parts: Sequence[Runs]) -> Runs:
    """All runs as one list."""
    return Runs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def join_rects(parts: Sequence[Rects]) -> Rects:
    """All rectangles as one list."""
    if not parts:
        return Rects(*(np.zeros(0, np.int64),) * len(Rects._fields))
    return Rects(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
