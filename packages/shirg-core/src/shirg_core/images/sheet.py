"""A white sheet addressed in pixels from its top-left corner, on matplotlib's Agg canvas: no display, no state."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from shirg_core.images.overlay import Floats

DPI = 100
CAPTION = 26
"""Pixels above a picture that its caption takes."""


def render(figure: Figure, target: Path | str | BytesIO, format: str) -> None:
    """Write a figure; a character that the font lacks is drawn as a box.

    Raises:
        OSError: the file cannot be written.
    """
    with warnings.catch_warnings():
        # A file name in a script that the font lacks is no news.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(target, format=format, dpi=DPI)


class NotebookFigure(Figure):
    """A figure that a notebook shows, whether pyplot was imported there or not."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        render(self, picture, "png")
        return picture.getvalue()


class Sheet:
    """Pictures and words at pixel positions."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = NotebookFigure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)

    def axes(self, corner: tuple[int, int], size: tuple[int, int]) -> Axes:
        """Axes that fill `size` = `(width, height)` at `corner` = `(x, y)`."""
        (x, y), (w, h) = corner, size
        return self.figure.add_axes((x / self.width, 1 - (y + h) / self.height, w / self.width, h / self.height))

    def text(self, x: int, y: int, words: str, *, size: float = 10, weight: str = "normal") -> None:
        """One line of words whose top left is at `(x, y)`."""
        at = x / self.width, 1 - y / self.height
        # File names may hold bytes that are no UTF-8, which nothing can draw.
        words = words.encode("utf-8", "replace").decode("utf-8")
        self.figure.text(*at, words, fontsize=size, fontweight=weight, va="top", parse_math=False)

    def picture(self, corner: tuple[int, int], pixels: Floats, caption: str) -> None:
        """`[H, W, 3]` pixels shown one to one at `corner`, the caption above them."""
        axes = self.axes(corner, (pixels.shape[1], pixels.shape[0]))
        axes.imshow(pixels, interpolation="nearest", aspect="auto")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(color="0.6", linewidth=0.8)
        self.text(corner[0], corner[1] - CAPTION + 4, caption, size=11)
