"""How a model sees images once its checkpoint has said what the user left open."""

from __future__ import annotations

from dataclasses import dataclass

from shirg_core.budget import Budget
from shirg_core.cli.errors import BadInput
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.cli.methods import check_method, method_views, takes_budget
from shirg_lavida.vision.views import Views

BASELINE = "baseline"
"""One view of 27 × 27 tokens, all of them: a method of the trainer's recipes that `shirg ask` has no name for."""


@dataclass(frozen=True)
class Resolved:
    """What is used.

    Attributes:
        method: as in `ModelSettings`.
        budget: tokens to keep; None = the method decides itself.
        views: see `shirg_lavida.vision.views`.
        max_new_tokens: length of an answer where no task says it.
    """

    method: str
    budget: Budget | None
    views: Views
    max_new_tokens: int


def resolve(method: str | None, budget: Budget | None, views: str | None, recommended: Recommended) -> Resolved:
    """What the user gave, completed by what the checkpoint recommends.

    Raises:
        BadInput: an unknown method or views, or a budget for a method that takes none.
    """
    chosen = recommended.method if method is None else method
    check_eval_method(chosen, budget, whose="" if method else ", the checkpoint's own,")
    kept = recommended.budget if budget is None else budget
    return Resolved(
        chosen,
        kept if takes_budget(chosen) else None,
        method_views(chosen, views or ("single384" if chosen == BASELINE else None), recommended),
        recommended.max_new_tokens,
    )


def check_eval_method(method: str, budget: Budget | None, *, whose: str = "") -> None:
    """Refuse an unknown method, or a budget that means nothing to it.

    Args:
        method: as in `ModelSettings`.
        budget: None = none was given.
        whose: put behind the method, for the message.

    Raises:
        BadInput: either.
    """
    if method != BASELINE:
        check_method(method)
    if budget is not None and not takes_budget(method):
        raise BadInput(f"method {method!r}{whose} takes no budget, got {budget}")
