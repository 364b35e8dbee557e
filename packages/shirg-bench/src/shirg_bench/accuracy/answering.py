"""Answers to all questions of a chunk under one variant, at one budget or at one for each question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from shirg_bench.accuracy.pages import Encoded
from shirg_bench.accuracy.prefixes import PromptBatch, ask, chosen_again
from shirg_bench.accuracy.variant import Variant
from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.budget import Budget
from shirg_lavida.adaptive import climb
from shirg_lavida.model import LavidaModel
from shirg_train.testbed.compressors.contract import Compressor
from shirg_train.testbed.micro.batches import ANSWER_LENGTH, MicroBatch


class Answered(NamedTuple):
    """Answers to B·Q questions.

    Attributes:
        given: `[B·Q, L]` ids.
        asked: what was read; the prefix is the first rung's where the budget is adaptive.
        probes: budgets that were tried before the answer's own.
    """

    given: Tensor
    asked: PromptBatch
    probes: list[int]


def answer_batch(
    model: LavidaModel,
    batch: MicroBatch,
    encoded: Encoded,
    variant: Variant,
    seeds: Sequence[int],
    compressor: Compressor | None = None,
) -> Answered:
    """Ask all questions of B pages; see `ask` for the arguments."""
    sampling: dict[str, Any] = {"attention": variant.attention, "cache": variant.cache, "answer_length": ANSWER_LENGTH}
    if variant.adaptive is not None:
        return _at_own_budgets(model, batch, encoded, variant, variant.adaptive, seeds, sampling)
    asked = ask(model, batch, encoded, variant, seeds, compressor)
    answers = model.generate(asked.prefix, pruning=asked.pruning, **sampling)
    given = torch.stack([answer.ids for answer in answers])
    if asked.pruning is not None and variant.late is None:
        asked = chosen_again(asked, model, batch, variant, [answer.selection for answer in answers])
    return Answered(given, asked, [0] * len(given))


def _at_own_budgets(
    model: LavidaModel,
    batch: MicroBatch,
    encoded: Encoded,
    variant: Variant,
    adaptive: AdaptiveBudget,
    seeds: Sequence[int],
    sampling: dict[str, Any],
) -> Answered:
    @cache
    def at(budget: Budget) -> PromptBatch:
        fixed = replace(variant, policy=replace(variant.policy, budget=budget), adaptive=None)
        return ask(model, batch, encoded, fixed, seeds)

    first = at(adaptive.low)
    rungs = climb(
        adaptive,
        len(first.kept),
        lambda budget, rows: at(budget).prefix.take(rows),
        lambda prefix, _: model.first_step_entropy(prefix, **sampling),
    )
    found = {
        row: (given, rung.budget, len(measured))
        for rung in rungs
        for row, given, measured in zip(rung.rows, model.sample(rung.prefix, **sampling), rung.entropies, strict=True)
    }
    rows = [found[row] for row in range(len(first.kept))]
    own = [at(budget) for _, budget, _ in rows]

    def read(name: str) -> list[Any]:
        return [getattr(each, name)[row] for row, each in enumerate(own)]

    asked = first._replace(kept=read("kept"), base=read("base"), visual=read("visual"), shown=read("shown"))
    return Answered(torch.stack([given for given, _, _ in rows]), asked, [probes for _, _, probes in rows])
