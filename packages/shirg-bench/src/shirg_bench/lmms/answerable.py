"""Whether questions can be answered: asked of all of them before the first answer, so that no answer is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from shirg_bench.lmms.questions import Questions
from shirg_bench.lmms.reply import Question
from shirg_bench.lmms.request import EvalRequest
from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.budget import Budget, kept_tokens
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selector
from shirg_core.selection.assemble import find_regions
from shirg_core.selection.preset import Preset
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.prompt.chat import prompt_ids, question_ids
from shirg_lavida.prompt.context import TooLongError, answer_context
from shirg_lavida.pruning.rerank import Wider
from shirg_lavida.vision.reading_order import reading_order
from shirg_lavida.vision.views import ViewPlan, plan_views


def check_all(
    pipe: LavidaPipeline,
    asked: Sequence[EvalRequest],
    questions: Questions,
    data: Mapping[str, Any],
    budget: Budget | AdaptiveBudget | None,
) -> None:
    """Refuse requests one of which has no text, no room for the budget, or no room in the model's context.

    The model is not asked, unless a request's length is so close to
    the context's that the newlines between the kept tokens decide. Its `budget` is the pipeline's selector's, or
    adaptive; None = it takes none.

    Raises:
        ValueError: naming task and document; from a `BudgetError` where the budget is at fault.
    """
    budgets = budget.rungs if isinstance(budget, AdaptiveBudget) else () if budget is None else (budget,)
    if isinstance(budget, AdaptiveBudget):
        # Room for the longest prefix is room for all.
        pipe, budget = pipe.at(budget.high), budget.high
    serving: set[ViewLayout] = set()
    for one in asked:
        question = questions.keep(one, data)
        try:
            ids = prompt_ids(pipe.tokenizer, question.text, pipe.chat, len(question.images))
            question_ids(pipe.tokenizer, question.words, 0)
            plans = _plans(pipe, question)
            layouts = {plan.layout for plan in plans}
            if pipe.selector is not None:
                for layout in layouts - serving:
                    for each in budgets:
                        _check_budget(pipe.selector, each, layout)
                serving |= layouts
            visual = [_entries(pipe, plan, budget) for plan in plans]
            _check_length(pipe, question, len(ids) - len(plans), visual, one.sampling.max_new_tokens)
        except ValueError as error:
            raise ValueError(f"{one.where}: {error}") from error


def _plans(pipe: LavidaPipeline, question: Question) -> list[ViewPlan]:
    selecting = pipe.selector is not None
    return [plan_views(pipe.model.config, img.size, pipe.views, selecting=selecting) for img in question.images]


def _check_budget(selector: Selector, budget: Budget, layout: ViewLayout) -> None:
    k = kept_tokens(budget, layout)
    if isinstance(selector, Wider):
        k, selector = selector.kept(layout), selector.selector
    if isinstance(selector, Preset):
        # How many regions there must be depends on the geometry, not on what is seen.
        blank = torch.ones(1, layout.n_tokens, 1, dtype=torch.float32)
        find_regions(selector.coverage, blank, layout, k, selector.coverage_share)


def _entries(pipe: LavidaPipeline, plan: ViewPlan, budget: Budget | None) -> tuple[int, int]:
    """Fewest and most positions that an image takes, a summary's included."""
    order = reading_order(plan, pipe.newline)
    if pipe.selector is None:
        return order.span, order.span
    if pipe.positions == "original":
        return order.span, order.span + 1
    if budget is None:
        return 1, order.span + 1
    k = pipe.selector.kept(plan.layout) if isinstance(pipe.selector, Wider) else kept_tokens(budget, plan.layout)
    fewest, most = order.entries(k)
    return fewest, most + 1


def _check_length(
    pipe: LavidaPipeline, question: Question, text: int, visual: Sequence[tuple[int, int]], answer: int
) -> None:
    """Whether prompt, images and answer fit the model's context.

    `visual` holds the fewest and most positions of each image, `text` counts no images; `question` is read where
    bounds do not tell.

    Raises:
        TooLongError: they do not.
    """
    context = pipe.model.config.language.max_sequence_length
    fewest, most = (text + answer + sum(bound) for bound in (list(zip(*visual, strict=True)) or [(), ()]))
    if fewest > context:
        raise TooLongError(
            f"the prompt's text has {text} tokens, its {len(visual)} image(s) at least {fewest - text - answer} and "
            f"the answer {answer}: {fewest} positions, but the model's context holds {context}"
        )
    if most > context:
        with torch.no_grad():
            prefix = pipe.embed([question.text], [question.images], words=[question.words])
            answer_context(prefix, answer, context)
