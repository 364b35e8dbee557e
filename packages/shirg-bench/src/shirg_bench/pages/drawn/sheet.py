"""Setting words on a page in real faces, and remembering where each word stands."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from shirg_bench.pages.page import Box, Line

FAMILIES: dict[str, tuple[str, str]] = {
    "sans": ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    "serif": ("DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf"),
    "mono": ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"),
    "times": ("STIXGeneral.ttf", "STIXGeneralBol.ttf"),
}
"""Faces that come with matplotlib, so that a page is the same on every machine: regular and bold."""
Colour = tuple[int, int, int]
BLACK: Colour = (20, 20, 24)


@lru_cache(maxsize=64)
def face(family: str, px: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """One of `FAMILIES` at a size in pixels per em."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / FAMILIES[family][bold]
    return ImageFont.truetype(str(path), px, layout_engine=ImageFont.Layout.BASIC)


class Sheet:
    """A page that is being drawn.

    Args:
        image: RGB, drawn on.
        family: of the print.

    Attributes:
        lines: what was printed.
    """

    def __init__(self, image: Image.Image, family: str) -> None:
        self.image, self.family = image, family
        self.draw = ImageDraw.Draw(image)
        self.lines: list[Line] = []

    def width(self, text: str, px: int, bold: bool = False) -> float:
        """Pixels that a text takes."""
        return face(self.family, px, bold).getlength(text)

    def write(
        self, x: float, y: float, text: str, px: int, *, bold: bool = False, right: bool = False, ink: Colour = BLACK
    ) -> Line:
        """Print one line.

        Args:
            x: its left end in pixels, or its right end.
            y: top of its capitals.
            text: words.
            px: pixels per em.
            bold: in the family's bold face.
            right: `x` is where it ends.
            ink: colour.

        Returns:
            The line, with a box around each word's ink.
        """
        font = face(self.family, px, bold)
        left = x - font.getlength(text) if right else x
        top = y - font.getbbox("H")[1]
        boxes: list[Box] = []
        at = 0
        for word in text.split():
            at = text.index(word, at)
            start = left + font.getlength(text[:at])
            self.draw.text((start, top), word, font=font, fill=ink)
            boxes.append(self.draw.textbbox((start, top), word, font=font))
            at += len(word)
        line = Line(text, tuple(boxes))
        self.lines.append(line)
        return line

    def paragraph(self, box: Box, text: str, px: int, *, pitch: float = 1.45, ink: Colour = BLACK) -> float:
        """Print words in lines as wide as the box, as far as it reaches; returns y below the last one."""
        x0, y, x1, y1 = box
        words = text.split()
        while words and y + px <= y1:
            count = 1
            while count < len(words) and self.width(" ".join(words[: count + 1]), px) <= x1 - x0:
                count += 1
            self.write(x0, y, " ".join(words[:count]), px, ink=ink)
            words, y = words[count:], y + pitch * px
        return y

    def rule(self, x0: float, y: float, x1: float, *, ink: Colour = (90, 90, 96), width: int = 1) -> None:
        """A horizontal line."""
        self.draw.line([(x0, y), (x1, y)], fill=ink, width=width)
