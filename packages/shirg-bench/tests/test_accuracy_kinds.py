"""Accuracy by what the answer stands in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shirg_bench.accuracy.interval import bootstrap, score_interval
from shirg_bench.accuracy.kinds import EVEN, VARIANTS, kind_rows
from shirg_bench.accuracy.pages import draw_pages_of
from shirg_bench.accuracy.rows import Run
from shirg_bench.results.scores import score_tables
from shirg_train.testbed.pages.config import FACT_KINDS, KINDS

from .accuracy_setup import tiny_bench

PAGES = 6


@pytest.fixture(scope="module")
def bench(micro, tmp_path_factory):
    return tiny_bench(micro, tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def rows(bench):
    return kind_rows(Run(bench, ["easy"], PAGES, "untrained", "it"))


def test_every_question_is_counted_once_for_every_method(bench, rows):
    kinds = draw_pages_of(bench.models[None], EVEN, "easy", range(PAGES)).question_kinds
    for method in VARIANTS:
        counted = {row["stands_in"]: row["questions"] for row in rows if row["method"] == method}
        assert counted == {KINDS[kind]: int((kinds == kind).sum()) for kind in np.unique(kinds)}
        assert sum(counted.values()) == PAGES * EVEN.questions


def test_scores_are_those_of_the_questions(bench, rows):
    """An untrained model answers nothing, so the truth is compared with what the gate kept."""
    measured = replace(bench, data=EVEN).answers([VARIANTS["v3"]], "easy", PAGES)[0]
    kinds = draw_pages_of(bench.models[None], EVEN, "easy", range(PAGES)).question_kinds
    found = {row["stands_in"]: row["value_recall"] for row in rows if row["method"] == "v3"}
    assert len(found) > 1
    for kind, recall in found.items():
        assert recall == pytest.approx(measured.shown[kinds == KINDS.index(kind)].mean(), abs=1e-4)


def test_every_kind_is_about_as_likely(bench):
    kinds = draw_pages_of(bench.models[None], EVEN, "easy", range(200)).question_kinds
    shares = np.bincount(kinds.ravel(), minlength=FACT_KINDS) / kinds.size
    assert 0.08 < shares.min() < shares.max() < 0.3


def test_the_table_has_a_line_for_each_kind_and_method(rows):
    (table,) = score_tables("kinds", rows)
    assert table.caption.endswith(", untrained")
    assert table.header == ("stands in", "method", "budget", "plain")
    first, questions, high = (rows[0][name] for name in ("stands_in", "questions", "high"))
    assert 0 < high < 1
    assert table.rows[0] == [first, "full", "–", f"0.000 [0.000, {high:.3f}] of {questions}"]
    lines = [tuple(line[:3]) for line in table.rows]
    assert len(set(lines)) == len(lines) == len(rows)
    assert lines.count((first, "v2", "1/3")) == 1


def test_an_interval_over_some_questions_resamples_their_pages():
    rng = np.random.default_rng(3)
    correct = rng.random((400, 3)) < 0.5
    every = np.ones(correct.shape, dtype=bool)
    assert bootstrap(correct, every) == bootstrap(correct)
    asked = every & (rng.random((400, 1)) < 0.25)
    low, high = bootstrap(correct, asked)
    assert low < correct[asked].mean() < high
    assert high - low > 1.5 * np.subtract(*bootstrap(correct)[::-1])
    # One question a page answered alike three times is one question.
    alike = np.repeat(correct[:, :1], 3, axis=1)
    assert bootstrap(alike) == pytest.approx(bootstrap(alike, np.array([True, False, False]) & every))


def test_an_interval_where_all_pages_agree_counts_those_that_were_asked():
    correct = np.zeros((40, 3), dtype=bool)
    asked = np.zeros_like(correct)
    asked[:10, 1] = True
    assert score_interval(correct, asked) == pytest.approx((0, 1 - 0.025 ** (1 / 10)))
    assert score_interval(correct | asked, asked) == pytest.approx((0.025 ** (1 / 10), 1))
