"""The source of drawn pages: page i depends on its number alone."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from importlib.resources import files

import numpy as np
from PIL import Image

from shirg_bench.pages.drawn import charts, textures
from shirg_bench.pages.drawn.documents import DOCUMENTS
from shirg_bench.pages.page import Box, Line, PrintedPage

KINDS = (*DOCUMENTS, "chart")
STREAM = 19
"""Keeps these pages' random numbers apart from those of others that are drawn from the same number."""
BESIDE = 0.5
"""Share of the pages that lie on something, as a camera sees them."""


class DrawnPages:
    """Invoices, letters, forms, leaflets and charts, in turn.

    Args:
        count: pages 0 … count − 1.
    """

    name = "drawn"

    def __init__(self, count: int) -> None:
        self._count = count

    def keys(self) -> Sequence[str]:
        """Numbers, with their kinds."""
        return [f"{i:03d}-{KINDS[i % len(KINDS)]}" for i in range(self._count)]

    def digest(self, key: str) -> str:
        """Of the code that draws it, and its name."""
        folder = files("shirg_bench.pages.drawn")
        sources = sorted((each.name, each.read_bytes()) for each in folder.iterdir() if each.name.endswith(".py"))
        return blake2b(b"\0".join((key.encode(), *(code for _, code in sources))), digest_size=8).hexdigest()

    def load(self, key: str) -> PrintedPage:
        """Draw it."""
        number, _, kind = key.partition("-")
        return draw_page(int(number), kind)


def draw_page(number: int, kind: str) -> PrintedPage:
    """One page.

    Args:
        number: seed.
        kind: one of `KINDS`.
    """
    rng = np.random.default_rng([STREAM, number])
    image: Image.Image
    lines: Sequence[Line]
    value: Sequence[Box]
    if kind == "chart":
        image, lines, value = charts.draw_chart(rng)
    else:
        sheet, value = DOCUMENTS[kind](rng)
        image, lines = sheet.image, sheet.lines
    if rng.random() < BESIDE:
        left, top, right, bottom = (int(edge) for edge in rng.integers(10, 120, 4))
        desk = rng.integers(3) if rng.random() < 0.6 else -1
        size = image.width + left + right, image.height + top + bottom
        ground = textures.photograph(rng, *size) if desk < 0 else textures.TEXTURES[desk](rng, *size)
        ground.paste(image, (left, top))
        image = ground
        lines = [Line(line.text, _moved(line.boxes, left, top)) for line in lines]
        value = _moved(value, left, top)
    return PrintedPage(textures.scanned(rng, image), lines, value)


def _moved(boxes: Sequence[Box], x: float, y: float) -> tuple[Box, ...]:
    return tuple((x0 + x, y0 + y, x1 + x, y1 + y) for x0, y0, x1, y1 in boxes)
