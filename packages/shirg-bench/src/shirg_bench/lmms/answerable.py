"""Whether questions can be answered: asked of all of them before the first answer, so that no answer is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from shirg_bench.lmms.reply import Question, require_images
from shirg_bench.lmms.request import Asked
from shirg_core.budget import Budget, kept_tokens
from shirg_core.layout import ViewLayout
from shirg_core.presets import ShirgV2, ShirgV3
from shirg_core.reference import find_regions
from shirg_core.selection import Selector
from shirg_lavida.chat import prompt_ids
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.prompt import image_owners
from shirg_lavida.views import plan_views


def check_all(pipe: LavidaPipeline, asked: Sequence[Asked], data: Mapping[str, Any], budget: Budget | None) -> None:
    """Refuse requests one of which has no images, other images than its text says, or no room for the budget.

    Images are opened one request at a time and let go.

    Args:
        pipe: what will answer.
        asked: requests.
        data: task → split → documents.
        budget: of the pipeline's selector; None = it takes none.

    Raises:
        ValueError: naming task and document; from a `BudgetError` where the budget is at fault.
    """
    serving: set[ViewLayout] = set()
    for one in asked:
        question = one.question(data)
        try:
            layouts = _layouts(pipe, question)
            if pipe.selector is not None and budget is not None:
                for layout in layouts - serving:
                    _check_budget(pipe.selector, budget, layout)
                serving |= layouts
        except ValueError as error:
            raise ValueError(f"{one.where}: {error}") from error


def _layouts(pipe: LavidaPipeline, question: Question) -> set[ViewLayout]:
    """Those of the question's images, which are there and as many as its text says."""
    require_images(question)
    image_owners([prompt_ids(pipe.tokenizer, question.prompt, pipe.chat)], len(question.images))
    selecting = pipe.selector is not None
    return {plan_views(pipe.model.config, img.size, pipe.views, selecting=selecting).layout for img in question.images}


def _check_budget(selector: Selector, budget: Budget, layout: ViewLayout) -> None:
    k = kept_tokens(budget, layout)
    if isinstance(selector, ShirgV2 | ShirgV3):
        # How many regions there must be depends on the geometry, not on what is seen.
        find_regions(selector.coverage, torch.ones(1, layout.n_tokens, 1), layout, k, selector.coverage_share)
