"""Exact match against visual tokens, a line per method: what a budget costs."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from shirg_bench.plots.style import (
    ALL_TOKENS,
    COLOURS,
    GREY,
    LABEL_PT,
    MARKERS,
    ON_PAPER,
    PRESETS,
    Label,
    label_column,
    new_figure,
    plain,
    whiskers,
)
from shirg_bench.results.rows import Row
from shirg_bench.results.words import ordered, tier_words
from shirg_core.methods import METHODS

LABELS_END = 0.155
"""Where the names of lines end, as a share of the axes' width."""
TOKEN_TICKS = (10, 20, 40, 80, 160, 320, 640, 1280, 2560)


def budget_curves(rows: Sequence[Row]) -> Figure:
    """A panel per regime (down) and tier (across); intervals are 95 %.

    Args:
        rows: of kind `accuracy`: regime, tier, method, budget, visual_tokens, exact_match, low, high.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("budget curves need accuracy rows, got none")
    regimes, tiers = ordered(rows, "regime"), ordered(rows, "tier")
    title = "Exact match against the visual tokens that the language model reads"
    figure = new_figure(6.4 * len(tiers), 4.9 * len(regimes) + 0.4, title)
    panels = figure.subplots(len(regimes), len(tiers), squeeze=False, sharey=True)
    for line, regime in zip(panels, regimes, strict=True):
        for axes, tier in zip(line, tiers, strict=True):
            mine = [row for row in rows if (row["regime"], row["tier"]) == (regime, tier)]
            if not mine:
                axes.set_axis_off()
                continue
            _panel(axes, mine)
            axes.set_title(f"{tier_words(tier)} pages, {regime}", fontsize=10, loc="left", parse_math=False)
        line[0].set_ylabel("exact match", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("visual tokens, newlines and summary included (logarithmic)", fontsize=9)
    return figure


def _panel(axes: Axes, rows: Sequence[Row]) -> None:
    plain(axes)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(TOKEN_TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set_ylim(-0.03, 1.06)
    axes.yaxis.set_major_locator(FixedLocator((0, 0.2, 0.4, 0.6, 0.8, 1)))
    tokens = [row["visual_tokens"] for row in rows]
    axes.set_xlim(min(tokens) / 2.7, max(tokens) * 1.45)
    labels = []
    # Methods without a line of their own first, so that the presets lie on top.
    for method in sorted(ordered(rows, "method"), key=lambda name: (name in COLOURS, name in PRESETS)):
        mine = sorted((row for row in rows if row["method"] == method), key=lambda row: row["visual_tokens"])
        if any(isinstance(row["budget"], float) for row in mine):
            first = _curve(axes, method, [row for row in mine if isinstance(row["budget"], float)])
            labels.append(Label(first["visual_tokens"], first["exact_match"], method, COLOURS.get(method, GREY)))
        else:
            _points(axes, method, mine)
    label_column(axes, labels, side="left", at=LABELS_END, gap=0.036)


def _curve(axes: Axes, method: str, rows: Sequence[Row]) -> Row:
    """Draw one method's line; its first row."""
    preset = method in PRESETS
    axes.errorbar(
        [row["visual_tokens"] for row in rows],
        [row["exact_match"] for row in rows],
        yerr=whiskers(rows, "exact_match", "low", "high"),
        color=COLOURS.get(method, GREY),
        marker=MARKERS.get(method, "."),
        markersize=5 if method in MARKERS else 4,
        linewidth=2.2 if preset else 1.2 if method in COLOURS else 0.7,
        elinewidth=0.8,
        capsize=2 if method in COLOURS else 0,
        alpha=1.0 if method in COLOURS else 0.65,
    )
    return rows[0]


def _points(axes: Axes, method: str, rows: Sequence[Row]) -> None:
    """Draw a method that decides its count itself: crosses, joined where it was measured with several options."""
    x, y = [row["visual_tokens"] for row in rows], [row["exact_match"] for row in rows]
    bars = whiskers(rows, "exact_match", "low", "high")
    axes.errorbar(x, y, bars, color="black", marker="x", linestyle=":", linewidth=0.9, elinewidth=0.8, capsize=2)
    known = METHODS.get(method)
    whole = known is not None and known.keeps == "all"
    if whole and method != "downsampled":
        axes.axhline(y[0], xmin=LABELS_END + 0.01, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
    words = ALL_TOKENS if whole and method != "downsampled" else method
    axes.annotate(
        words,
        (x[-1], rows[-1]["high"] if whole else y[-1]),
        xytext=(0, 4) if whole else (6, -2),
        textcoords="offset points",
        ha="center" if whole else "left",
        fontsize=LABEL_PT,
        parse_math=False,
        bbox=ON_PAPER,
    )
