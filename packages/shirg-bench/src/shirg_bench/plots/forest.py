"""Ablations as a forest plot: paired differences to the reference, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from shirg_bench.plots.style import BLUE, GREEN, LABEL_PT, VERMILION, new_figure, plain, whiskers
from shirg_bench.results.rows import Row
from shirg_bench.results.words import budget_words, ordered, tier_words

TIER_LOOKS = (("o", BLUE), ("s", VERMILION), ("^", GREEN))
LINE_IN, PANEL_IN = 0.21, 0.62
WIDTH_IN = 10.5
"""Room for the title and the legend beside it."""
OFFSET = 0.17


def ablation_forest(rows: Sequence[Row]) -> Figure:
    """A panel per ablation, each with its own scale; a mark per tier.

    Args:
        rows: of kind `ablation` and one regime: ablation, variant, reference, tier, budget, difference, difference_low,
            difference_high. A reference's own row is not drawn.

    Raises:
        ValueError: no rows that differ from their reference, or several regimes.
    """
    changed = [row for row in rows if row["variant"] != row["reference"]]
    if not changed:
        raise ValueError("a forest plot needs ablation rows that differ from their reference, got none")
    regimes = ordered(changed, "regime")
    if len(regimes) > 1:
        raise ValueError(f"a forest plot shows one regime, got {', '.join(regimes)}")
    panels = [[row for row in changed if row["ablation"] == name] for name in ordered(changed, "ablation")]
    columns = _columns(panels)
    height = max(sum(_height(panel) for panel in column) for column in columns)
    # The legend stands beside the title, for which one column is too narrow.
    wrap = "\n" if len(columns) == 1 else " "
    title = f"Change of exact match against each reference,{wrap}in points, same questions ({regimes[0]})"
    figure = new_figure(max(WIDTH_IN, 6.6 * len(columns)), max(2.2, height) + 0.7, title)
    tiers = ordered(changed, "tier")
    subfigures = figure.subfigures(1, len(columns), squeeze=False)[0]
    for part, column in zip(subfigures, columns, strict=True):
        _draw_column(part, column, tiers, height)
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="upper right", ncols=len(tiers), fontsize=LABEL_PT, frameon=False)
    return figure


def _columns(panels: Sequence[Sequence[Row]]) -> list[list[Sequence[Row]]]:
    """One column, or two of about the same height, in order."""
    heights = [_height(panel) for panel in panels]
    if len(panels) < 4:
        return [list(panels)]
    cut = min(range(1, len(panels)), key=lambda i: max(sum(heights[:i]), sum(heights[i:])))
    return [list(panels[:cut]), list(panels[cut:])]


def _height(panel: Sequence[Row]) -> float:
    return PANEL_IN + LINE_IN * len(_lines(panel))


def _lines(panel: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(_words(row) for row in panel))


def _words(row: Row) -> str:
    return str(row["variant"]) if row["budget"] is None else f"{row['variant']} · {budget_words(row['budget'])}"


def _draw_column(part: SubFigure, panels: Sequence[Sequence[Row]], tiers: Sequence[str], height: float) -> None:
    heights = [_height(panel) for panel in panels]
    spare = height - sum(heights)
    # An empty panel at the bottom keeps lines of both columns equally high.
    ratios = [*heights, spare] if spare > 0.05 else heights
    drawn = part.subplots(len(ratios), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for axes, panel in zip(drawn, panels, strict=False):
        _panel(axes, panel, tiers)
    for axes in drawn[len(panels) :]:
        axes.set_axis_off()


def _panel(axes: Axes, panel: Sequence[Row], tiers: Sequence[str]) -> None:
    plain(axes)
    lines = _lines(panel)
    axes.axvline(0, color="0.3", linewidth=0.9)
    for i, tier in enumerate(tiers):
        marker, colour = TIER_LOOKS[i % len(TIER_LOOKS)]
        mine = [row for row in panel if row["tier"] == tier]
        offset = OFFSET * (i - (len(tiers) - 1) / 2) * 2
        points = [100 * row["difference"] for row in mine]
        places = [lines.index(_words(row)) + offset for row in mine]
        bars = whiskers(mine, "difference", "difference_low", "difference_high", 100)
        words = tier_words(tier)
        axes.errorbar(points, places, xerr=bars, fmt=marker, color=colour, markersize=4, linewidth=1.2, label=words)
    axes.set_yticks(range(len(lines)), lines, fontsize=LABEL_PT, parse_math=False)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.margins(x=0.08)
    axes.set_title(str(panel[0]["ablation"]), fontsize=9, fontweight="bold", loc="left", parse_math=False)
