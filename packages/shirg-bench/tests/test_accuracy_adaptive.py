"""Adaptive budgets beside the fixed one of equal mean K."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shirg_bench.accuracy.adaptive import ADAPTED, MIXED, PARTS, adaptive_rows
from shirg_bench.accuracy.rows import Run
from shirg_bench.accuracy.variant import Variant
from shirg_bench.results.scores import score_tables
from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.testbed.micro.batches import ANSWER_LENGTH

from .accuracy_setup import tiny_bench

BUDGET = AdaptiveBudget(10, 40, threshold=0.0)


@pytest.fixture(scope="module")
def bench(micro, tmp_path_factory):
    return tiny_bench(micro, tmp_path_factory.mktemp("adaptive"))


def test_rows_compare_with_the_fixed_budget_of_equal_mean_k_and_count_every_forward_pass(bench):
    steps = []
    rows = adaptive_rows(Run(bench, ["easy", "hard"], 1, "untrained", "it", lambda: steps.append(1)), BUDGET)
    assert len(steps) == PARTS * len(ADAPTED) * 2
    assert len(rows) == PARTS * len(ADAPTED) * 3
    assert [row["tier"] for row in rows[:9]] == ["easy"] * 3 + ["hard"] * 3 + [MIXED] * 3
    fixed, adaptive, highest = rows[6:9]
    assert (fixed["variant"], fixed["difference"], fixed["nfe"], fixed["prefills"]) == (
        "v4, fixed",
        0.0,
        ANSWER_LENGTH,
        1.0,
    )
    # Never sure enough: both lower rungs are tried.
    assert adaptive["variant"] == "v4, auto:10-40@0.0"
    assert (adaptive["budget"], adaptive["kept_tokens"]) == (fixed["budget"], fixed["kept_tokens"]) == (40, 40.0)
    assert (adaptive["nfe"], adaptive["prefills"], adaptive["same_answers"]) == (ANSWER_LENGTH + 2, 3.0, 1.0)
    assert highest["budget"] == 40
    assert adaptive["questions"] == sum(row["questions"] for row in rows[1:6:3])
    (table,) = score_tables("ablation", rows)
    assert table.header == ("variant", "budget", "plain", "cluttered", "mixed")


def test_every_question_is_answered_at_its_own_budget(bench):
    policy = PolicyConfig("v4", 10)
    entropies = [
        bench.answers([Variant(policy, adaptive=replace(BUDGET, threshold=limit))], "hard", 3)[0].probes
        for limit in (0.0, 1e9)
    ]
    assert (entropies[0].min(), entropies[1].max()) == (2, 1)
    at = {k: bench.answers([Variant(PolicyConfig("v4", k))], "hard", 3)[0] for k in BUDGET.rungs}
    seen = set()
    for limit in np.linspace(3.5, 6.5, 13):
        found = bench.answers([Variant(policy, adaptive=replace(BUDGET, threshold=float(limit)))], "hard", 3)[0]
        seen |= set(found.kept.flatten().tolist())
        for k, fixed in at.items():
            own = found.kept == k
            assert np.array_equal(found.given[own], fixed.given[own])
            assert set(found.probes[own].tolist()) <= {{10: 1, 20: 2, 40: 2}[k]}
    assert len(seen) > 1


def test_what_an_adaptive_variant_cannot_be():
    with pytest.raises(ValueError, match="adaptive needs a budget, no late choice and no NLL"):
        Variant(PolicyConfig("pooling"), adaptive=BUDGET)
    with pytest.raises(ValueError, match="adaptive needs a budget, no late choice and no NLL"):
        Variant(PolicyConfig("v4", 10), adaptive=BUDGET, nll_times=1)
