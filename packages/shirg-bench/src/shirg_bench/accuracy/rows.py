"""Measured answers as rows of the results files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from shirg_bench.accuracy.answers import Answers
from shirg_bench.accuracy.interval import bootstrap, score_interval
from shirg_bench.accuracy.measure import Bench
from shirg_bench.accuracy.variant import Variant
from shirg_bench.results.merge import Rules
from shirg_bench.results.provenance import provenance
from shirg_train.testbed.micro.visual import VIEWS, views_of

CPU = torch.device("cpu")
_SHOWN = ("kind", "ablation", "regime")
"""Rows that agree in these are shown together, a column per tier."""
RULES = Rules(
    table=("kind", "ablation", "regime", "tier"),
    line=("group", "stands_in", "method", "options", "variant", "adapter", "budget"),
    alike=(
        # Rows of a table answer the same questions with the same weights,
        (("kind", "ablation", "regime", "tier"), ("pages", "seed", "checkpoint", "split")),
        # differ from the same reference in every tier,
        ((*_SHOWN, "method", "budget"), ("reference",)),
        # and a name means the same adapter.
        ((*_SHOWN, "adapter"), ("adapter_weights",)),
    ),
)
"""How these rows are merged into a file."""


class Run(NamedTuple):
    """What all rows of a run share.

    Attributes:
        bench: what answers.
        tiers: see `shirg_train.testbed.pages.config.TIERS`.
        pages: per tier.
        regime: how the checkpoint was trained, for the record.
        command: how to measure it again, for the record.
        advance: called after each variant of each chunk.
    """

    bench: Bench
    tiers: Sequence[str]
    pages: int
    regime: str
    command: str
    advance: Callable[[], None] = lambda: None

    def answers(self, variants: Sequence[Variant], tier: str) -> list[Answers]:
        """To every question of a tier's pages under every variant."""
        return self.bench.answers(variants, tier, self.pages, self.advance)


def identity(run: Run, tier: str, variant: Variant) -> dict[str, Any]:
    """The fields that identify a row, known before it is measured: variant, pages, weights."""
    adapter = {} if variant.adapter is None else {"adapter_weights": run.bench.digests[variant.adapter]}
    views = views_of(run.bench.models[None])
    return {
        "regime": run.regime,
        "tier": tier,
        **({} if views == VIEWS else {"views": views}),
        **variant.facts(),
        **adapter,
        "pages": run.pages,
        "checkpoint": run.bench.digests[None],
        "split": run.bench.split,
        "seed": run.bench.seed,
    }


def score_row(
    run: Run, tier: str, variant: Variant, answers: Answers, asked: NDArray[np.bool_] | None = None
) -> dict[str, Any]:
    """Exact match with its 95 % interval (see `score_interval`), what was run, and where it comes from.

    Of the questions `asked [P, Q]`; None = all of them.

    Returns:
        The row. `nll` is the validation NLL in nats per token, where the variant measures it. `value_recall` is the
        share of asked values' characters whose patch was kept; None where tokens are mixtures. `base_tokens` are
        the kept ones of the base view, where there is one.
    """
    if asked is None:
        asked = np.ones(answers.correct.shape, dtype=bool)
    low, high = score_interval(answers.correct, asked)
    recall = float(answers.shown[asked].mean())
    return {
        **identity(run, tier, variant),
        "kept_tokens": round(float(answers.kept[asked].mean()), 1),
        **({} if np.isnan(answers.base).all() else {"base_tokens": round(float(answers.base[asked].mean()), 1)}),
        "visual_tokens": round(float(answers.visual[asked].mean()), 1),
        "value_recall": None if np.isnan(recall) else round(recall, 4),
        "questions": int(asked.sum()),
        **_nll(answers),
        "exact_match": round(float(answers.correct[asked].mean()), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "parameters": sum(p.numel() for p in run.bench.models[None].parameters()),
        **provenance(run.command, run.bench.seed, CPU, f"{torch.get_num_threads()} threads"),
    }


def _nll(answers: Answers) -> dict[str, float]:
    """Validation NLL in nats per token of all questions, where it was measured."""
    scored = float(answers.scored.sum())
    return {"nll": round(float(answers.nll.sum()) / scored, 4)} if scored else {}


def change(name: str, answers: Answers, reference: Answers) -> dict[str, float]:
    """Difference of exact match on the same questions, positive = better than the reference.

    Returns:
        `name`, and `name_low` and `name_high`, its 95 % interval; pages are resampled, as pairs. It has no width where
        no page's score differs.
    """
    gain = answers.correct.astype(np.float64) - reference.correct
    low, high = bootstrap(gain)
    return {name: round(float(gain.mean()), 4), f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}


def paired(answers: Answers, reference: Answers) -> dict[str, float]:
    """`change` as `difference`, and `same_answers`, the share of questions answered alike, token for token."""
    alike = (answers.given == reference.given).all(axis=-1)
    return {**change("difference", answers, reference), "same_answers": round(float(alike.mean()), 4)}
