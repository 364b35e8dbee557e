"""What a step costs: its time against the bytes of the prefix cache, and against the same step without cache."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from shirg_bench.plots.style import BLUE, COLOURS, GREY, LABEL_PT, MARKERS, ORANGE, Label, new_figure, plain, spread
from shirg_bench.results.rows import Row
from shirg_bench.results.words import setting_words

MIB = 2**20


def cache_cost(rows: Sequence[Row]) -> Figure:
    """KV bytes against ms per step, and both ways of a step side by side.

    Args:
        rows: of kind `latency`, one model, dtype and length of the answer: model, variant, cache, kv_bytes, step_ms.

    Raises:
        ValueError: no cached rows with times, or several models or settings.
    """
    timed = [row for row in rows if row["step_ms"] is not None]
    cached = [row for row in timed if row["cache"]]
    settings = {setting_words(row) for row in timed}
    if not cached or len(settings) > 1:
        of = "; ".join(sorted(settings)) or "none"
        raise ValueError(
            "a plot of cache costs needs cached rows of one model, dtype and length of the answer, "
            f"got {len(cached)} of {of}"
        )
    figure = new_figure(12.6, 4.8, f"Cost of a denoising step, {timed[0]['model']} ({timed[0]['hardware']})")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    _against_bytes(left, cached)
    _both_ways(right, cached, [row for row in timed if not row["cache"]])
    return figure


def _against_bytes(axes: Axes, rows: Sequence[Row]) -> None:
    plain(axes)
    labels = []
    for row in rows:
        x, y = row["kv_bytes"] / MIB, row["step_ms"]
        method = str(row["variant"]).partition("-")[0]
        colour = COLOURS.get(method, GREY)
        axes.plot(x, y, color=colour, marker=MARKERS.get(method, "D"), markersize=7, linestyle="none")
        labels.append(Label(x, y, str(row["variant"]), colour))
    axes.set_ylim(0, 1.12 * max(label.y for label in labels))
    axes.set_xlim(0, 1.06 * max(label.x for label in labels))
    axes.set_xlabel("prefix cache, MiB", fontsize=9)
    axes.set_ylabel("ms per step, cached", fontsize=9)
    _label_above(axes, labels)


def _label_above(axes: Axes, labels: Sequence[Label]) -> None:
    """Vertical labels in a row above all points, so that close ones have room, each joined to its point."""
    low, high = axes.get_xlim()
    gap = 0.042 * (high - low)
    places = spread([label.x for label in labels], gap, low + gap, high)
    for label, place in zip(labels, places, strict=True):
        axes.annotate(
            label.words,
            xy=(label.x, label.y),
            xytext=((place - low) / (high - low), 0.42),
            textcoords="axes fraction",
            rotation=90,
            ha="center",
            va="top",
            fontsize=LABEL_PT,
            color=label.colour,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": label.colour, "linewidth": 0.5, "alpha": 0.6, "shrinkB": 4},
        )


def _both_ways(axes: Axes, cached: Sequence[Row], uncached: Sequence[Row]) -> None:
    plain(axes)
    names = [str(row["variant"]) for row in cached]
    slow = {str(row["variant"]): row["step_ms"] for row in uncached}
    places = range(len(names))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    for place, row in zip(places, cached, strict=True):
        fast = row["step_ms"]
        axes.plot(fast, place, color=BLUE, marker="o", linestyle="none", label="with cache")
        if names[place] in slow:
            there = slow[names[place]]
            axes.plot([fast, there], [place, place], color="0.7", linewidth=1.2, zorder=0)
            axes.plot(there, place, color=ORANGE, marker="s", linestyle="none", label="without")
            words = f"{there / fast:.1f}×"
            axes.annotate(
                words, (there, place), xytext=(7, 0), textcoords="offset points", va="center", fontsize=LABEL_PT
            )
    axes.margins(x=0.16)
    axes.set_yticks(places, names, fontsize=LABEL_PT, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("ms per step (logarithmic)", fontsize=9)
    # One handle a kind, not one a point.
    legend = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(
        list(legend.values()),
        list(legend),
        fontsize=LABEL_PT,
        frameon=False,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=2,
    )
