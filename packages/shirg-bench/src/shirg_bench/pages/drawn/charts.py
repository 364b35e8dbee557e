"""Charts by matplotlib, with hatched bars, lines and areas on a grid; asked for is the number printed at one mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.random import Generator
from PIL import Image

from shirg_bench.pages.drawn import words
from shirg_bench.pages.page import Box, Line

FAMILIES = ("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono", "STIXGeneral")
HATCHES = ("////", "\\\\\\\\", "xxxx", "....", "ooo", "+++", "----", "||||", "**", "/", "")
DPI = 100


class Chart(NamedTuple):
    """A page with one chart: its image, its print, and where the asked number stands."""

    image: Image.Image
    lines: list[Line]
    value: Sequence[Box]


def draw_chart(rng: Generator) -> Chart:
    """One chart, in matplotlib's own style whatever the user's settings are."""
    with style.context(["default", {"font.family": words.pick(rng, FAMILIES)}]):
        width, height = rng.uniform((8.0, 6.0), (10.5, 8.5))
        figure = Figure(figsize=(width, height), dpi=DPI, facecolor=tuple(rng.uniform(0.92, 1.0, 3)))
        canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
        size = float(rng.uniform(9, 13))
        axes = figure.add_axes((0.12, 0.16, 0.82, 0.68))
        labels = _marks(rng, axes, size)
        source = f"Source: {words.firm(rng)}, {words.day(rng)}"
        texts = [*labels, *_frame(rng, axes, size), figure.text(0.12, 0.03, source, fontsize=size - 1)]
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
        boxes = [_box(text, pixels.shape[0]) for text in (*texts, *_tick_labels(axes))]
    lines = [Line(text.get_text(), (box,)) for text, box in zip((*texts, *_tick_labels(axes)), boxes, strict=True)]
    return Chart(Image.fromarray(pixels), lines, (boxes[int(rng.integers(len(labels)))],))


def _marks(rng: Generator, axes: Axes, size: float) -> list[Text]:
    """Bars, or a line and the area below it; the numbers printed at them."""
    names = [str(word).title() for word in rng.choice(words.PROSE, int(rng.integers(4, 8)), replace=False)]
    values = rng.integers(12, 990, len(names)).tolist()
    axes.set_ylim(0, 1.15 * max(values))
    if rng.random() < 0.65:
        bars = axes.bar(names, values, color=rng.uniform(0.45, 0.95, (len(names), 3)), edgecolor="0.15")
        for bar in bars:
            bar.set_hatch(words.pick(rng, HATCHES))
        return list(axes.bar_label(bars, fontsize=size, padding=2))
    axes.plot(names, values, marker=words.pick(rng, tuple("os^D")), color=tuple(rng.uniform(0, 0.6, 3)), linewidth=2)
    if rng.random() < 0.6:
        axes.fill_between(names, values, hatch=words.pick(rng, HATCHES), facecolor="0.9", edgecolor="0.6")
    above: Any = {"xytext": (0, 7), "textcoords": "offset points"}
    return [axes.annotate(f"{y}", (x, y), ha="center", fontsize=size, **above) for x, y in enumerate(values)]


def _frame(rng: Generator, axes: Axes, size: float) -> list[Text]:
    """Title, name of the axis, grid."""
    axes.tick_params(labelsize=size)
    if rng.random() < 0.7:
        axes.grid(axis="y", color="0.8")
    title = axes.set_title(words.sentences(rng, 6).rstrip("."), fontsize=size + 3)
    return [title, axes.set_ylabel(words.pick(rng, words.PROSE).title(), fontsize=size)]


def _tick_labels(axes: Axes) -> Iterator[Text]:
    """Those that are drawn: ticks beyond the axis's ends exist, too."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        yield from (tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high)


def _box(text: Text, height: int) -> Box:
    """Around a text that was drawn, in pixels from the top left."""
    extent = text.get_window_extent()
    return float(extent.x0), float(height - extent.y1), float(extent.x1), float(height - extent.y0)
