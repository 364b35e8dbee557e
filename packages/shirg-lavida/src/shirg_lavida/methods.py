"""From a method of the registry to how a model sees images: the selector, the views, and what the selector compares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, cast, get_args

from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.budget import Budget
from shirg_core.checks import check_choice
from shirg_core.methods import Method, get_method
from shirg_core.selection import Selector
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.vision.options import SelectOn
from shirg_lavida.vision.views import Views


class Choice(NamedTuple):
    """How images are seen, as fields of `LavidaPipeline`.

    Attributes:
        selector: None = the model's own pooling on `anyres` views, every token of others.
        views: see `shirg_lavida.vision.views`.
        select_on: see `shirg_lavida.vision.options.VisionOptions`.
        tower_attention: see there, too.
    """

    selector: Selector | None
    views: Views
    select_on: SelectOn = "projected"
    tower_attention: bool = False


def method_views(method: Method, views: str | None, recommended: Views | None = None) -> Views:
    """The views on which a method chooses: the user's, or else the checkpoint's, or else the method's own, or `anyres`.

    Without a selector a model pools `anyres` views: a method that keeps every token gets `anyres_full` in their place.

    Args:
        method: of the registry.
        views: what the user asked for; None = nothing.
        recommended: what the checkpoint asks for.

    Raises:
        ValueError: unknown views, or others than a method's fixed ones.
    """
    if views is not None:
        check_choice("views", views, get_args(Views))
    if method.fixed_views:
        if views not in (None, method.views):
            raise ValueError(f"method {method.name!r} means {method.views} views, got {views!r}")
        recommended = None
    chosen = views or recommended or method.views or "anyres"
    return cast("Views", "anyres_full" if method.keeps == "all" and chosen == "anyres" else chosen)


def choose_by(method: Method, views: Views, **fields: Any) -> Choice:
    """A method on views.

    Args:
        method: of the registry.
        views: from `method_views`.
        fields: of its selector. Without any, a method that keeps every token, or that the model does by itself on these
            views, gets no selector.

    Raises:
        ValueError: fields that the method refuses.
    """
    if not fields and (method.keeps == "all" or views == method.released_on):
        return Choice(None, views)
    select_on: SelectOn = "pixels" if method.on_pixels else "projected"
    return Choice(method.build(**fields), views, select_on, method.tower_attention)


def with_method(
    pipe: LavidaPipeline, name: str, budget: Budget | AdaptiveBudget | None, views: str | None, seed: int | None
) -> LavidaPipeline:
    """The same model, choosing its visual tokens by a method.

    Args:
        pipe: the model.
        name: of the method, see `shirg_core.methods`.
        budget: for methods that take one, the others ignore it; None = what the checkpoint recommends.
        views: what the user asked for; None = what the checkpoint recommends, or else the method's own.
        seed: for randomised methods.

    Raises:
        ValueError: unknown method or views, or a budget that the method refuses.
    """
    method, recommended = get_method(name), Recommended.from_checkpoint(pipe.model.config.raw)
    seen = method_views(method, views, recommended.views)
    adaptive = budget if isinstance(budget, AdaptiveBudget) and method.takes_budget else None
    fixed = budget.low if isinstance(budget, AdaptiveBudget) else budget
    fields = method.accepted(budget=recommended.budget if fixed is None else fixed, seed=seed)
    return replace(pipe, **choose_by(method, seen, **fields)._asdict(), adaptive=adaptive)
