"""What is compared with what, differences as pairs, and tables."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from shirg_bench.accuracy.answers import Answers
from shirg_bench.accuracy.budgets import BUDGETS, curve_plan, curve_rows, entries
from shirg_bench.accuracy.compare import ABLATIONS, ablate, ablation_plan
from shirg_bench.accuracy.methods import exact_methods
from shirg_bench.accuracy.rows import Run, paired
from shirg_bench.results.scores import accuracy_tables, gain_tables, score_tables, seed_tables
from shirg_core.methods import METHODS

from .accuracy_setup import SIZE, tiny_bench, write_micro

ADAPTERS = {"r16": "packed", "r32": "packed", "spread": "original"}


def answers(correct):
    correct = np.asarray(correct, dtype=bool)
    ones = np.ones(correct.shape, dtype=np.int64)
    nothing = np.zeros(len(correct))
    real = ones.astype(float)
    return Answers(correct[..., None].astype(np.int64), correct, ones, real, ones, real, nothing, nothing, 0 * ones)


def test_a_paired_difference_is_surer_than_two_intervals():
    rng = np.random.default_rng(0)
    reference = rng.random((200, 4)) < 0.5
    worse = reference & (rng.random((200, 4)) < 0.96)
    row = paired(answers(worse), answers(reference))
    assert row["difference"] == pytest.approx(worse.mean() - reference.mean(), abs=1e-4)
    assert row["difference_low"] < row["difference"] < row["difference_high"] < 0
    assert row["same_answers"] == pytest.approx((worse == reference).mean(), abs=1e-4)
    assert set(paired(answers(worse), answers(worse)).values()) == {0.0, 1.0}


def test_every_ablation_of_the_brief_is_there_and_changes_one_thing():
    promised = ["coverage", "beta", "terms", "alpha", "summary", "regions", "parts", "positions", "newline"]
    promised += ["adapter", "adapted", "lowres", "cache", "late", "views", "views-variance"]
    assert sorted(ABLATIONS) == sorted(promised)
    for name in promised:
        comparisons = ABLATIONS[name](ADAPTERS)
        assert comparisons, name
        for reference, others in comparisons:
            assert others, name
            for case in others:
                assert case.variant.key != reference.variant.key
                # Same tokens asked for: a difference is the part's, not the budget's.
                assert case.variant.budget == reference.variant.budget
        lines = [(c.name, c.variant.budget) for pair in comparisons for c in (pair.reference, *pair.others)]
        assert len(set(lines)) == len(lines), name


def test_adapters_are_compared_with_the_first_and_with_none():
    assert ABLATIONS["adapter"]({}) == ABLATIONS["adapted"]({}) == []
    found = {name: ABLATIONS[name](ADAPTERS) for name in ("adapter", "adapted")}
    assert {pair.reference.variant.adapter for pair in found["adapter"]} == {"r16"}
    assert {pair.reference.variant.adapter for pair in found["adapted"]} == {None}
    assert [case.variant.adapter for case in found["adapted"][0].others] == list(ADAPTERS)
    asked = {case.variant.adapter: case.variant.positions for case in found["adapted"][2].others}
    assert asked == {None: "original", **ADAPTERS}


def test_the_curve_has_every_method_at_every_budget():
    table = entries(14)
    methods = {entry.method for entry in table}
    assert methods == {
        "full",
        "downsampled",
        *(name for name, method in METHODS.items() if method.selector is not None),
        "rerank",
        "two-stage",
    }
    for method in exact_methods():
        found = {entry.variant.policy.budget for entry in table if entry.method == method and entry.group == "budget"}
        assert found == set(BUDGETS)
    assert {e.variant.policy.budget for e in table if e.group == "pooled-k"} == {49}


@pytest.fixture(scope="module")
def rows(micro, tmp_path_factory):
    return curve_rows(Run(tiny_bench(micro, tmp_path_factory.mktemp("curve")), ["easy"], 1, "untrained", "it"))


def test_rows_say_what_was_run_where(rows):
    assert len(rows) == len(entries(14))
    for row in rows:
        assert (row["kind"], row["regime"], row["tier"], row["questions"], row["pages"]) == (
            "accuracy",
            "untrained",
            "easy",
            2,
            1,
        )
        assert row["low"] <= row["exact_match"] <= row["high"]
        assert {"torch", "shirg-core"} <= set(row["versions"])
        assert (row["command"], row["seed"], row["split"]) == ("it", 0, "test")
    assert {row["method"] for row in rows if "vs_v2" not in row} == {"full", "downsampled", "pooling", "scissor"}
    for row in rows:
        assert row["vs_full_low"] <= row["vs_full"] <= row["vs_full_high"]
        assert row["vs_pooling"] == pytest.approx(row["exact_match"] - rows[2]["exact_match"], abs=1e-4)
    full, low = rows[:2]
    assert (full["method"], full["visual_tokens"], full["kept_tokens"]) == ("full", 210.0, 196.0)
    assert (low["method"], low["source"]) == ("downsampled", "blurred")
    assert {row["method"] for row in rows if "note" in row} == {"v3-tower"}
    assert {row["method"] for row in rows if row["value_recall"] is None} == {"pooling", "scissor", "tome", "quadtree"}
    assert full["value_recall"] == 1
    drawn = [row["value_recall"] for row in rows if row["method"] == "random" and row["group"] == "budget"]
    assert 0 <= min(drawn) < max(drawn) <= 1
    assert json.loads(json.dumps(rows)) == rows


def test_rows_say_what_was_planned(micro, tmp_path):
    run = Run(tiny_bench(micro, tmp_path), ["easy"], 1, "untrained", "it")
    planned = curve_plan(run, ["full", "pooling"]) + ablation_plan(run, "beta")
    measured = curve_rows(run, ["full", "pooling"]) + ablate(run, "beta")
    assert all(plan.items() <= row.items() for plan, row in zip(planned, measured, strict=True))


def test_the_tables_show_each_row(rows):
    (table,) = accuracy_tables(rows)
    assert (table.header, len(table.rows)) == (("method", "budget", "plain"), len(rows))
    assert [line[1] for line in table.rows if line[0] == "v3"] == ["1/12", "1/6", "1/3", "1/2", "49", "41"]
    assert ["pooling", "–", "0.000 [0.000, 0.975] · 56"] in table.rows
    (gains,) = gain_tables(rows)
    assert {line[0] for line in gains.rows} == {row["method"] for row in rows if "vs_v2" in row} - {"v2"}
    assert score_tables("accuracy", rows) == [table, gains]


def test_a_regime_trained_from_several_seeds_has_a_table_of_means(rows):
    more = {"exact_match": rows[0]["exact_match"] + 0.5, "visual_tokens": rows[0]["visual_tokens"] + 2}
    again = [{**row, "regime": "untrained, seed 2", **(more if row is rows[0] else {})} for row in rows[:-1]]
    (means,) = seed_tables([*rows, *again])
    assert means.caption.endswith("of 2 models trained from different seeds, untrained")
    score = rows[0]["exact_match"]
    assert means.rows[0] == ["full", "–", f"{score + 0.25:.3f} [{score:.3f}, {score + 0.5:.3f}] · 211 · 100%"]
    # What one of the runs lacks has no mean.
    assert len(means.rows) == len(rows) - 1


@pytest.mark.parametrize("other", [{"pages": 3, "questions": 6}, {"seed": 1}])
def test_runs_over_other_pages_have_no_mean(rows, other):
    again = [{**row, "regime": "untrained, seed 2"} for row in rows]
    (means,) = seed_tables([*rows, again[0], *({**row, **other} for row in again[1:])])
    assert len(means.rows) == 1
    (means,) = seed_tables([*rows, *({**row, **other} for row in again)])
    assert means.rows == []
    assert "of 2 models trained from different seeds, untrained: they share no line on the same pages" in means.caption


def test_some_methods_only(micro, tmp_path):
    asked = ("pooling", "full", "v2")
    some = curve_rows(Run(tiny_bench(micro, tmp_path / "store"), ["easy"], 1, "r", ""), methods=asked)
    assert {row["method"] for row in some} == set(asked)
    assert len(some) == 2 + len(BUDGETS) + 2
    assert all("vs_full" in row and "vs_pooling" in row for row in some)


def test_differences_stand_beside_scores():
    shared = {"regime": "r", "ablation": "beta", "tier": "hard", "budget": 1 / 3, "reference": "v2", "note": ""}
    shared |= {"exact_match": 0.5, "low": 0.25, "high": 0.75}
    change = {"difference": -0.125, "difference_low": -0.25, "difference_high": 0.0}
    other = {**shared, "variant": "v2, β = 0", **change, "note": "by hand", "nll": 1.25}
    table, nll = score_tables("ablation", [{**shared, "variant": "v2", **change}, other])
    assert (table.caption, table.header) == ("beta, r. by hand", ("variant", "budget", "cluttered"))
    assert table.rows == [
        ["v2", "1/3", "0.500 [0.250, 0.750], reference"],
        ["v2, β = 0", "1/3", "0.500, -12.5 [-25.0, +0.0]"],
    ]
    assert nll.rows == [["v2, β = 0", "1/3", "1.25"]]


def test_five_views_are_compared_where_a_model_has_them(micro, tmp_path):
    single = Run(tiny_bench(micro, tmp_path / "store"), ["easy"], 1, "untrained", "it")
    tables = {"views": "v2", "views-variance": "v2, variance alone"}
    assert [ablate(single, name) for name in tables] == [[], []]
    folder = write_micro(tmp_path / "views", size=replace(SIZE, views="anyres"))
    five = single._replace(bench=tiny_bench(folder, tmp_path / "store"))
    rows = [row for name in tables for row in ablate(five, name)]
    assert {row["ablation"]: row["reference"] for row in rows} == tables
    assert {row["budget"]: row["kept_tokens"] for row in rows} == {327: 327.0, 163: 163.0, 82: 82.0}
    assert {row["views"] for row in rows} == {"anyres", "pooled_base"}
    for row in rows:
        pinned = row["variant"].endswith("base view pooled and pinned")
        assert (row["base_tokens"] == 49) == pinned == (row["views"] == "pooled_base")
    assert {row.get("normalize") for row in rows if row["variant"].endswith("per image")} == {"image"}
