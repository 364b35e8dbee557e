"""Speed and accuracy of the embedded model: exact match against the time of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shirg_bench.plots.style import ALL_TOKENS, BLACK, COLOURS, GREY, LABEL_PT, MARKERS, new_figure, plain, whiskers
from shirg_bench.results.rows import Row
from shirg_bench.results.words import budget_words, ordered, setting_words, tier_words
from shirg_core.methods import lookup

EMBEDDED = "micro"
SCORED_VIEWS = "single384"
"""Views of the accuracy rows, the micro models' own."""
BUDGET_TOLERANCE = 1e-3


class Point(NamedTuple):
    """One way to answer, timed and scored.

    Attributes:
        accuracy: the row of kind `accuracy`.
        latency: the row of kind `latency`.
    """

    accuracy: Row
    latency: Row


def matched(accuracy: Sequence[Row], latency: Sequence[Row]) -> list[Point]:
    """Pairs of rows of the embedded model with the same method and budget; cached times only.

    Times are of methods without options on the views that were scored, so scores of options, and times of other views,
    have no pair. Times of several dtypes or lengths of the answer are never mixed: those of the first row count.
    """
    timed = [row for row in latency if row["model"] == EMBEDDED and row["cache"] and row["end_to_end_ms"] is not None]
    alike = [row for row in timed if setting_words(row) == setting_words(timed[0])]
    return [Point(score, time) for score in accuracy for time in alike if _same(score, time)]


def speed_accuracy(accuracy: Sequence[Row], latency: Sequence[Row], regime: str) -> Figure:
    """A panel per tier.

    Args:
        accuracy: rows of kind `accuracy`.
        latency: rows of kind `latency`.
        regime: the one that the embedded model was trained in.

    Raises:
        ValueError: nothing was both timed and scored.
    """
    points = matched([row for row in accuracy if row["regime"] == regime], latency)
    if not points:
        raise ValueError(f"no method of {regime!r} has both an accuracy row and a latency row of {EMBEDDED!r}")
    tiers = ordered([point.accuracy for point in points], "tier")
    title = f"Speed and accuracy of the embedded model ({regime}; {points[0].latency['hardware']})"
    figure = new_figure(6.2 * len(tiers), 4.6, title)
    panels = figure.subplots(1, len(tiers), squeeze=False, sharey=True, sharex=True)[0]
    for axes, tier in zip(panels, tiers, strict=True):
        _panel(axes, [point for point in points if point.accuracy["tier"] == tier])
        axes.set_title(f"{tier_words(tier)} pages", fontsize=10, loc="left", parse_math=False)
        axes.set_xlabel("ms per answer, image to text", fontsize=9)
    panels[0].set_ylabel("exact match", fontsize=9)
    return figure


def _panel(axes: Axes, points: Sequence[Point]) -> None:
    plain(axes)
    axes.set_ylim(-0.03, 1.06)
    axes.margins(x=0.15)
    for method in ordered([point.accuracy for point in points], "method"):
        mine = sorted(
            (point for point in points if point.accuracy["method"] == method),
            key=lambda point: point.accuracy["visual_tokens"],
        )
        x = [point.latency["end_to_end_ms"] for point in mine]
        y = [point.accuracy["exact_match"] for point in mine]
        bars = whiskers([point.accuracy for point in mine], "exact_match", "low", "high")
        colour = COLOURS.get(method, BLACK if len(mine) == 1 else GREY)
        axes.errorbar(x, y, bars, color=colour, marker=MARKERS.get(method, "D"), linewidth=1.6, capsize=2)
        for i, point in enumerate(mine):
            # In turn above and below: budgets may lie close together.
            above_it = i % 2 == 0
            axes.annotate(
                _words(point.accuracy),
                (x[i], point.accuracy["high" if above_it else "low"]),
                xytext=(0, 4 if above_it else -12),
                textcoords="offset points",
                ha="center",
                fontsize=LABEL_PT,
                color=colour,
                parse_math=False,
            )


def _words(row: Row) -> str:
    if _method(row) == "full":
        return ALL_TOKENS
    return str(row["method"]) if row["budget"] is None else f"{row['method']} {budget_words(row['budget'])}"


def _method(row: Row) -> str:
    """The method's name; on the scored views `baseline` is `full`."""
    method = lookup(row["method"])
    return "full" if method.keeps == "all" and not method.only else method.name


def _same(score: Row, time: Row) -> bool:
    if _method(score) != _method(time):
        return False
    if score.get("options") or time.get("views") not in (None, SCORED_VIEWS):
        return False
    a, b = score["budget"], time["budget"]
    return a == b or (a is not None and b is not None and abs(a - b) <= BUDGET_TOLERANCE * abs(b))
