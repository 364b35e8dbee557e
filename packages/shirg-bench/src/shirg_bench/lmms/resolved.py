"""How a model sees images once its checkpoint has said what the user left open."""

from __future__ import annotations

from dataclasses import dataclass

from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.budget import Budget
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.methods import Method, get_method
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.methods import method_views
from shirg_lavida.vision.views import Views


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
    budget: Budget | AdaptiveBudget | None
    views: Views
    max_new_tokens: int


def resolve(
    method: str | None, budget: Budget | AdaptiveBudget | None, views: str | None, recommended: Recommended
) -> Resolved:
    """What the user gave, completed by what the checkpoint recommends.

    Raises:
        BadInput: an unknown method or views, or a budget for a method that takes none.
    """
    own = "" if method else ", the checkpoint's own,"
    chosen = check_eval_method(recommended.method if method is None else method, budget, whose=own)
    kept = recommended.budget if budget is None else budget
    with bad_input(ValueError):
        seen = method_views(chosen, views, recommended.views)
    return Resolved(chosen.name, kept if chosen.takes_budget else None, seen, recommended.max_new_tokens)


def check_eval_method(name: str, budget: Budget | AdaptiveBudget | None, *, whose: str = "") -> Method:
    """The method; refuse an unknown one, or a budget that means nothing to it.

    Raises:
        BadInput: either.
    """
    with bad_input(ValueError):
        method = get_method(name)
    if budget is not None and not method.takes_budget:
        raise BadInput(f"method {method.name!r}{whose} takes no budget, got {budget}")
    return method
