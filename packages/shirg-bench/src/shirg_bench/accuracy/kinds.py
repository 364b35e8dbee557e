"""Accuracy by page element: forms, tables, horizontal and vertical bars, lines, pies.

The pages of the budget table are mostly forms and tables. Here every kind is as likely to be a page's largest block.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from shirg_bench.accuracy.case import THIRD
from shirg_bench.accuracy.measure import chunks
from shirg_bench.accuracy.pages import draw_pages_of
from shirg_bench.accuracy.rows import Run, score_row
from shirg_bench.accuracy.variant import Variant
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.testbed.micro.config import DataConfig
from shirg_train.testbed.pages.config import FACT_KINDS, KINDS

EVEN = DataConfig(facts=(4, 8), questions=2, kinds=(1.0,) * FACT_KINDS)
"""Few enough facts and questions that a page of 112 px has room for vertical bars and lines."""
VARIANTS = {
    "full": Variant(),
    "pooling": Variant(PolicyConfig("pooling")),
    "v2": Variant(PolicyConfig("v2", THIRD)),
    "v3": Variant(PolicyConfig("v3", THIRD)),
}


def kind_rows(run: Run) -> list[dict[str, Any]]:
    """Rows of kind `kinds`: a method's score on the questions whose answer `stands_in` one kind of block.

    The pages are `EVEN`, whatever the run's own are.
    """
    run = run._replace(bench=replace(run.bench, data=EVEN))
    rows = []
    for tier in run.tiers:
        measured = run.answers(list(VARIANTS.values()), tier)
        drawn = [
            draw_pages_of(run.bench.models[None], EVEN, tier, chunk, run.bench.split) for chunk in chunks(run.pages)
        ]
        stands_in = np.concatenate([batch.question_kinds for batch in drawn])
        for number, kind in enumerate(KINDS[:FACT_KINDS]):
            asked = stands_in == number
            if not asked.any():
                continue
            for (method, variant), answers in zip(VARIANTS.items(), measured, strict=True):
                scores = score_row(run, tier, variant, answers, asked)
                rows.append({"kind": "kinds", "stands_in": kind, **scores, "method": method})
    return rows
