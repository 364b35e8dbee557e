"""Adaptive budgets against the fixed one of equal mean K, on plain and cluttered pages mixed.

The budget is decided question by question; the fixed one is the mean of what was kept over all pages, rounded. Equal
mean K is equal mean length of the prefix and its cache, not equal work: deciding takes forward passes and prefills of
its own, which the rows count.

A threshold is calibrated on pages of the split `valid`, see `shirg_core.adaptive_budget`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shirg_bench.accuracy.answers import Answers
from shirg_bench.accuracy.rows import Run, paired, score_row
from shirg_bench.accuracy.variant import Variant
from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.testbed.micro.batches import ANSWER_LENGTH

ADAPTED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "v4": ("v4", {}),
    "v4 without text": ("v4", {"text_weight": 0.0}),
    "v3-tower": ("v3-tower", {}),
    "tome": ("tome", {}),
}
"""What is measured; v4 finds the answer of a micro page in its text, at any of these budgets."""
PARTS = 3
"""Variants that are measured of each: adaptive, fixed at the mean, fixed at the highest rung."""
MIXED = "mixed"
"""The tier of rows over all pages."""


def adaptive_rows(run: Run, budget: AdaptiveBudget) -> list[dict[str, Any]]:
    """Rows of kind `ablation`: the reference is the fixed budget of equal mean K, beside it the highest rung.

    There is a row for each tier, and for all of them together; `nfe` and `prefills` are forward passes and prefills of
    an answer on average.
    """
    rows = []
    for name, (method, options) in ADAPTED.items():
        policy = PolicyConfig(method, budget.low, options=options)

        def measured(variant: Variant) -> list[Answers]:
            each = [run.answers([variant], tier)[0] for tier in run.tiers]
            return each if len(each) == 1 else [*each, Answers.joined(each)]

        adaptive = Variant(policy, adaptive=budget)
        found = measured(adaptive)
        mean = max(1, round(float(found[-1].kept.mean())))
        fixed, highest = (Variant(replace(policy, budget=k)) for k in (mean, budget.high))
        reference = f"{name}, fixed"
        cases = [
            (reference, mean, fixed, measured(fixed)),
            (f"{name}, {budget}", mean, adaptive, found),
            (f"{name}, highest rung", budget.high, highest, measured(highest)),
        ]
        against = cases[0][3]
        for i, tier in enumerate([*run.tiers, MIXED][: len(found)]):
            for variant, k, how, answers in cases:
                told = {"kind": "ablation", "ablation": "adaptive", "variant": variant, "reference": reference}
                costs = _costs(answers[i])
                scores = {**score_row(run, tier, how, answers[i]), "budget": k}
                rows.append({**told, **scores, **costs, **paired(answers[i], against[i]), "note": ""})
    return rows


def _costs(answers: Answers) -> dict[str, float]:
    probes = float(answers.probes.mean())
    return {"nfe": round(ANSWER_LENGTH + probes, 2), "prefills": round(1 + probes, 2)}
