"""A page whose words and places are known, and where pages come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from PIL import Image

Box: TypeAlias = tuple[float, float, float, float]
"""`(x0, y0, x1, y1)` in pixels of the page, x to the right, y down."""


@dataclass(frozen=True)
class Line:
    """One line of print.

    Attributes:
        text: as printed.
        boxes: what it covers: one box, or one for each word.
    """

    text: str
    boxes: tuple[Box, ...]

    @property
    def box(self) -> Box:
        """Around all of it."""
        x0, y0, x1, y1 = zip(*self.boxes, strict=True)
        return min(x0), min(y0), max(x1), max(y1)


@dataclass(frozen=True, eq=False)
class PrintedPage:
    """An image and what is printed on it.

    Attributes:
        image: upright RGB.
        lines: its print, at least one line inside the page.
        value: where the asked value stands, such as a receipt's total; empty = unknown.
        unreadable: lines of the annotation that could not be read.
        outside: boxes of the annotation that do not touch the page; boxes that reach beyond it are cut there.
    """

    image: Image.Image
    lines: Sequence[Line]
    value: Sequence[Box] = ()
    unreadable: int = 0
    outside: int = 0


class Source(Protocol):
    """Where pages come from.

    Attributes:
        name: for rows and file names.
    """

    name: str

    def keys(self) -> Sequence[str]:
        """Names of the pages, in order."""

    def digest(self, key: str) -> str:
        """Changes whenever the page does."""

    def load(self, key: str) -> PrintedPage:
        """Read or draw a page.

        Raises:
            ValueError, OSError: it cannot be had; one line that names it.
        """
