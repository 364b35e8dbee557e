"""Plots show the rows they were given, say what they cannot show, and are written whole and small."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from shirg_bench.plots import (
    Example,
    TokenCloud,
    ablation_forest,
    answer_sheet,
    budget_curves,
    cache_cost,
    save_plot,
    speed_accuracy,
    token_clouds,
)
from shirg_bench.plots.answers import Panel
from shirg_bench.plots.speed import matched
from shirg_bench.plots.style import COLOURS, spread
from shirg_bench.plots.tokens import embed_tokens
from shirg_bench.results.words import budget_words
from shirg_core import ViewLayout, shirg_v3
from shirg_core.baselines import Pooling
from shirg_lavida.sampling.answer import Answer

from .report_rows import ablation_rows, accuracy_row, accuracy_rows, latency_row, latency_rows


def words_of(figure):
    return {text.get_text() for axes in figure.axes for text in axes.texts}


def points_of(axes, colour):
    """Data of every line drawn in one colour."""
    lines = [line for line in axes.lines if to_hex(line.get_color()) == colour.lower()]
    return [tuple(point) for line in lines for point in np.asarray(line.get_xydata()).tolist()]


def test_budget_curves_have_a_panel_per_regime_and_tier():
    joint = [accuracy_row("v2", budget, 0.7, regime="joint") for budget in (1 / 6, 1 / 3)]
    figure = budget_curves([*accuracy_rows(), *joint])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:3] == ["plain pages, frozen tower", "cluttered pages, frozen tower", "plain pages, joint"]
    assert {"v2", "v3", "random", "divprune", "pooling", "all tokens"} <= words_of(figure)
    v2 = [row for row in accuracy_rows() if row["method"] == "v2" and row["tier"] == "easy"]
    assert [(row["visual_tokens"], row["exact_match"]) for row in v2] == points_of(figure.axes[0], COLOURS["v2"])[:2]
    assert not figure.axes[3].axison


def test_a_method_with_its_own_count_is_a_point_and_tiers_may_lack_methods():
    rows = [accuracy_row("v2", 1 / 3, 0.8), accuracy_row("scissor", None, 0.5, options={"threshold": 0.8})]
    assert {"v2", "scissor"} <= words_of(budget_curves([*rows, accuracy_row("v2", 1 / 3, 0.8, "hard")]))


def test_forest_shows_what_differs_in_points():
    figure = ablation_forest(ablation_rows())
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["coverage", "beta"]
    ticks = [tick.get_text() for axes in figure.axes for tick in axes.get_yticklabels()]
    assert ticks == ["v2, no coverage · 1/3", "v2, β = 0 · 1/3"]
    drawn = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() in ("o", "s")]
    assert drawn == pytest.approx([-3.0, -3.0])


def test_the_legend_of_a_forest_covers_no_title():
    figure = ablation_forest([{**row, "regime": "2,400 steps from micro-full"} for row in ablation_rows()])
    figure.draw_without_rendering()
    assert not figure.legends[0].get_window_extent().overlaps(figure._suptitle.get_window_extent())


def test_many_ablations_stand_in_two_columns():
    rows = [{**row, "ablation": f"{row['ablation']} {i}"} for i in range(3) for row in ablation_rows()]
    figure = ablation_forest(rows)
    assert len(figure.subfigs) == 2
    assert sum(axes.axison for axes in figure.axes) == 6


def test_cache_cost_compares_both_ways():
    figure = cache_cost(latency_rows())
    left, right = figure.axes
    assert {"pooling", "full", "v2-0.3333", "v3-0.1667"} <= words_of(figure)
    assert points_of(left, COLOURS["v2"])[0] == (2304 * 75 / 2**20, 1.75)
    assert any(text.get_text() == "4.9×" for text in right.texts)


def test_speed_accuracy_pairs_times_with_scores():
    figure = speed_accuracy(accuracy_rows(), latency_rows(), "frozen tower")
    assert words_of(figure) == {"all tokens", "pooling", "v2 1/3", "v3 1/6"}
    assert len(figure.axes) == 2
    assert points_of(figure.axes[0], COLOURS["v2"])[0][0] == 17.5


def test_times_of_other_options_or_views_are_no_pair():
    score, time = accuracy_row("v3", 1 / 6, 0.5), latency_row("v3-0.1667", "v3", 1 / 6)
    assert len(matched([score], [time])) == 1
    assert matched([{**score, "options": {"temperature": 0.05}}], [time]) == []
    assert matched([score], [{**time, "views": "single"}]) == []
    assert len(matched([score], [{**time, "views": "single384"}])) == 1


def test_times_of_several_settings_are_not_mixed():
    scores, times = accuracy_rows(), latency_rows()
    half = [{**row, "dtype": "bfloat16", "end_to_end_ms": 1.0} for row in times]
    assert matched(scores, [*times, *half]) == matched(scores, times) != []


def answered(text, visual_tokens, layout, selection):
    unused = {"ids": torch.zeros(0), "probabilities": torch.zeros(0), "stops": frozenset(), "nfe": 1, "kv_bytes": 0}
    shown = {"visual_tokens": visual_tokens, "prefix_tokens": visual_tokens}
    return Answer(text=text, **unused, **shown, selections=(selection,), layouts=(layout,))


def test_answers_are_marked_right_or_wrong():
    layout, features = ViewLayout.single(4, 4), torch.randn(1, 16, 8, generator=torch.Generator().manual_seed(0))
    selection = shirg_v3(6)(features, layout)
    panels = [Panel("all", answered("12", 20, layout, None)), Panel("v3", answered("", 10, layout, selection))]
    panels.append(Panel("pooling", answered("13", 4, layout, Pooling()(features, layout)), merged=True))
    image = Image.new("L", (32, 32), 200)
    figure = answer_sheet([Example(image, "What is the sum?", "12", panels)])
    words = [text.get_text() for text in figure.texts]
    assert {"What is the sum?  →  12", "✓ 12", "✗ (nothing)", "✗ 13", "v3 · 10 tokens"} <= set(words)
    whole, dimmed, framed = (axes.images[0].get_array() for axes in figure.axes)
    assert np.ptp(whole) == 0
    assert np.ptp(dimmed) > 0
    assert np.ptp(framed) > 0


def test_token_clouds_count_what_was_kept():
    features = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    kept = np.arange(40) < 15
    shows = np.arange(40) % 10 == 0
    plane = embed_tokens(features)
    assert plane.shape == (40, 2)
    figure = token_clouds(plane, shows, [TokenCloud("v2", kept), TokenCloud("v3", ~kept)])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0] == "v2: 15 of 40 kept, 2 of 4 that show the answer"
    assert [len(points.get_offsets()) for points in figure.axes[0].collections] == [25, 15, 4]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: budget_curves([]), "got none"),
        (lambda: ablation_forest([row for row in ablation_rows() if row["difference"] == 0]), "got none"),
        (lambda: ablation_forest([*ablation_rows(), {**ablation_rows()[1], "regime": "joint"}]), "one regime"),
        (lambda: cache_cost([]), "got 0"),
        (lambda: cache_cost([*latency_rows(), latency_row("full", "full", None, model="other")]), "one model"),
        (lambda: cache_cost([*latency_rows(), {**latency_rows()[0], "dtype": "bfloat16"}]), "one model, dtype"),
        (lambda: speed_accuracy(accuracy_rows(), [], "frozen tower"), "both an accuracy row and a latency row"),
        (lambda: speed_accuracy(accuracy_rows(), latency_rows(), "joint"), "'joint'"),
        (lambda: answer_sheet([]), "at least one example"),
        (lambda: token_clouds(np.zeros((4, 2)), np.zeros(4, bool), []), "there must be one"),
        (lambda: embed_tokens(np.zeros((30, 2), np.float32)), "more than 30 tokens, got 30"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_plots_are_small_pngs_written_whole(tmp_path):
    save_plot(budget_curves(accuracy_rows()), tmp_path / "budget.png")
    with Image.open(tmp_path / "budget.png") as picture:
        assert picture.format == "PNG"
        assert len(picture.getcolors(256)) <= 256
    assert (tmp_path / "budget.png").stat().st_size <= 200_000
    with pytest.raises(ValueError, match=r"must end in \.png or \.svg"):
        save_plot(Figure(), tmp_path / "budget.pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["budget.png"]


def test_a_plot_as_svg_keeps_its_words_and_is_the_same_again(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save_plot(budget_curves(accuracy_rows()), tmp_path / name / "budget.svg")
    first, second = ((tmp_path / name / "budget.svg").read_text("utf-8") for name in ("a", "b"))
    assert first == second
    assert ">divprune</text>" in first


def test_budget_curves_name_every_point_and_strike_no_name_through():
    scissor = [accuracy_row("scissor", None, y, visual_tokens=x) for x, y in ((12, 0.1), (16, 0.3), (30, 0.8))]
    (axes,) = budget_curves([accuracy_row("v2", 1 / 3, 0.9), accuracy_row("full", None, 0.9), *scissor]).axes
    joined = [line for line in axes.lines if line.get_linestyle() == ":" and len(line.get_xdata()) == 3]
    assert [list(line.get_xdata()) for line in joined] == [[12, 16, 30]]
    assert all(words.get_bbox_patch() is not None for words in axes.texts)
    (level,) = (line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_xdata()[1] == 1)
    assert level.get_xdata()[0] > 0.15


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([], []),
        ([0.5], [0.5]),
        ([0.5, 0.5], [0.5, 0.6]),
        ([0.95, 1.0, 0.97], [0.8, 1.0, 0.9]),
        ([0.0, 0.0, 0.9], [0.0, 0.1, 0.9]),
    ],
)
def test_labels_keep_their_distance_and_order(wanted, expected):
    assert spread(wanted, 0.1, 0.0, 1.0) == pytest.approx(expected)


def test_labels_that_do_not_fit_come_closer():
    assert spread([0.0] * 5, 0.5, 0.0, 1.0) == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize(("budget", "words"), [(1 / 3, "1/3"), (0.1667, "1/6"), (49, "49"), (None, "all")])
def test_budgets_in_words(budget, words):
    assert budget_words(budget) == words
