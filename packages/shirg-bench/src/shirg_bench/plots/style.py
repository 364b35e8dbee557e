"""One look for all plots: Okabe and Ito's colours, which colour-blind readers tell apart, and labels beside lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from shirg_bench.results.rows import Row

BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#8C8C8C"
COLOURS = {
    "v2": BLUE,
    "v3": VERMILION,
    "v4": GREEN,
    "top-relevance": SKY,
    "top-edge": PURPLE,
    "top-attention": ORANGE,
    "random": BLACK,
}
"""Of the methods that a reader looks for; the others are grey."""
MARKERS = {"v2": "o", "v3": "s", "v4": "v", "top-relevance": "^", "top-edge": "D", "top-attention": "P"}
PRESETS = ("v2", "v3", "v4")
ALL_TOKENS = "all tokens"
PLOT_DPI = 110
LABEL_PT = 8
ON_PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.8}
"""The box of words that lines may pass behind."""


class Label(NamedTuple):
    """Words beside a point, in data coordinates.

    Attributes:
        x: of the point.
        y: of the point.
        words: one line.
        colour: of the words.
    """

    x: float
    y: float
    words: str
    colour: str


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure of `width × height` inches that arranges its axes itself."""
    figure = Figure(figsize=(width, height), dpi=PLOT_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left", parse_math=False)
    return figure


def plain(axes: Axes) -> None:
    """No frame on the top and on the right, a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=LABEL_PT)


def whiskers(rows: Sequence[Row], value: str, low: str, high: str, unit: float = 1.0) -> list[list[float]]:
    """Lengths of error bars below and above the value, as matplotlib wants them, in multiples of `unit`."""
    below = [max(0.0, unit * (row[value] - row[low])) for row in rows]
    return [below, [max(0.0, unit * (row[high] - row[value])) for row in rows]]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near to the wanted ones as they can be, in the same order, at least `gap` apart and within bounds.

    When they do not fit, the gap shrinks.
    """
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    order = np.argsort(wanted, kind="stable")
    places = np.asarray(wanted, dtype=float)[order]
    # Pushed up from below, then down from above: two passes are enough once everything fits.
    floor = low
    for i in range(len(places)):
        places[i] = floor = max(places[i], floor)
        floor += gap
    ceiling = high
    for i in reversed(range(len(places))):
        places[i] = ceiling = min(places[i], ceiling)
        ceiling -= gap
    result = np.empty_like(places)
    result[order] = places
    return [float(place) for place in result]


def label_column(axes: Axes, labels: Sequence[Label], *, side: str, at: float, gap: float) -> None:
    """Write labels in a column at `at`, a share of the axes' width, each joined to its point by a thin line.

    Args:
        axes: linear in y, its limits set.
        labels: see `Label`.
        side: `left` or `right` of the points.
        at: where the words begin or end, 0 = left border, 1 = right border.
        gap: least distance of two labels as a share of the axes' height.
    """
    low, high = axes.get_ylim()
    places = spread([label.y for label in labels], gap * (high - low), low, high)
    for label, place in zip(labels, places, strict=True):
        axes.annotate(
            label.words,
            xy=(label.x, label.y),
            xytext=(at, (place - low) / (high - low)),
            textcoords="axes fraction",
            ha="right" if side == "left" else "left",
            va="center",
            fontsize=LABEL_PT,
            color=label.colour,
            parse_math=False,
            bbox=ON_PAPER,
            arrowprops={"arrowstyle": "-", "color": label.colour, "linewidth": 0.5, "alpha": 0.6, "shrinkB": 3},
            annotation_clip=False,
        )
