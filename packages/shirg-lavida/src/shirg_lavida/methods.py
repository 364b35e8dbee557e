"""From a method of the registry to how a model sees images: the selector, the views, and what the selector compares."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, cast, get_args

from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.budget import Budget, check_budget
from shirg_core.checks import check_choice
from shirg_core.methods import Method, get_method
from shirg_core.selection import Selector
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.pruning.options import later_options, static_method
from shirg_lavida.pruning.protocol import Pruning
from shirg_lavida.vision.options import SelectOn
from shirg_lavida.vision.views import Views


class Choice(NamedTuple):
    """How images are seen, as fields of `LavidaPipeline`.

    Attributes:
        selector: None = the model's own pooling on `anyres` views, every token of others.
        views: see `shirg_lavida.vision.views`.
        select_on: see `shirg_lavida.vision.options.VisionOptions`.
        tower_attention: see there, too.
        pruning: what chooses again while an answer is decoded; None = nothing.
    """

    selector: Selector | None
    views: Views
    select_on: SelectOn = "projected"
    tower_attention: bool = False
    pruning: Pruning | None = None


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
    return cast("Views", "anyres_full" if method.sees_all and chosen == "anyres" else chosen)


def choose_by(method: Method, views: Views, **fields: Any) -> Choice:
    """A method on views.

    Args:
        method: of the registry.
        views: from `method_views`.
        fields: of its selector. Without any, a method that keeps every token, or that the model does by itself on these
            views, gets no selector. Of a method that chooses later: `budget`, `seed`, and what `later_options` reads.

    Raises:
        ValueError: fields that the method refuses.
    """
    if method.later is not None:
        return _choose_later(method, views, fields)
    if not fields and (method.keeps == "all" or views == method.released_on):
        return Choice(None, views)
    select_on: SelectOn = "pixels" if method.on_pixels else "projected"
    return Choice(method.build(**fields), views, select_on, method.tower_attention)


def _choose_later(method: Method, views: Views, given: Mapping[str, Any]) -> Choice:
    kind = method.later_type
    assert kind is not None, "the caller has seen it"
    if "budget" not in given:
        raise ValueError(f"method {method.name!r} needs budget")
    budget = given["budget"]
    if isinstance(budget, AdaptiveBudget):
        raise ValueError(f"method {method.name!r} takes a fixed budget, got {budget}")
    check_budget(budget)
    options = {name: value for name, value in given.items() if name not in ("budget", "seed")}
    takes = {field.name for field in dataclasses.fields(kind)}
    pruning = kind(**options, **({"budget": budget} if "budget" in takes else {}))
    if method.sees_all:
        return Choice(None, views, pruning=pruning)
    before, options = static_method(pruning.static)
    chosen = choose_by(before, views, **before.accepted(budget=budget, seed=given.get("seed")) | options)
    return chosen._replace(selector=pruning.before(chosen.selector), pruning=pruning)


def with_method(
    pipe: LavidaPipeline,
    name: str,
    budget: Budget | AdaptiveBudget | None,
    views: str | None,
    seed: int | None,
    *,
    later: str | None = None,
    command: str | None = None,
) -> LavidaPipeline:
    """The same model, choosing its visual tokens by a method.

    Args:
        pipe: the model.
        name: of the method, see `shirg_core.methods`.
        budget: for methods that take one, the others ignore it; None = what the checkpoint recommends.
        views: what the user asked for; None = what the checkpoint recommends, or else the method's own.
        seed: for randomised methods.
        later: see `later_options`.
        command: see `get_method`.

    Raises:
        ValueError: unknown method or views, or a budget or options that the method refuses.
    """
    method, recommended = get_method(name, command), Recommended.from_checkpoint(pipe.model.config.raw)
    seen = method_views(method, views, recommended.views)
    adaptive = budget if isinstance(budget, AdaptiveBudget) and method.takes_budget else None
    fixed = budget.low if isinstance(budget, AdaptiveBudget) and method.later is None else budget
    fields = method.accepted(budget=recommended.budget if fixed is None else fixed, seed=seed)
    if method.later is not None:
        # Of a randomised static selection.
        fields["seed"] = seed
    choice = choose_by(method, seen, **fields, **later_options(method, later))
    return replace(pipe, **choice._asdict(), adaptive=adaptive)
