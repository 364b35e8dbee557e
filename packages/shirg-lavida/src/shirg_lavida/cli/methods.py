"""From a method's name to a pipeline that chooses visual tokens that way."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from shirg_core.baselines import ON_PIXELS, Pooling
from shirg_core.budget import Budget
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.methods import METHODS, accepted_options
from shirg_core.selection import Selector
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.vision.views import Views

POOLED, FULL = "pooled", "full"
OWN_VIEWS: dict[str, Views] = {"v3": "single", FULL: "anyres_full"}
"""Views of a method where neither the user nor the checkpoint names any; `anyres` for the others."""


def check_method(method: str) -> None:
    """Refuse an unknown method, before a model is loaded for it.

    Raises:
        BadInput: naming the known ones.
    """
    if method not in (POOLED, FULL, *METHODS):
        raise BadInput(f"unknown method {method!r}; known: {', '.join((POOLED, FULL, *METHODS))}")


def takes_budget(method: str) -> bool:
    """Whether a budget means anything to the method."""
    return method in METHODS and "budget" in accepted_options(method)


def with_method(
    pipe: LavidaPipeline, method: str, budget: Budget, views: str | None, seed: int | None
) -> LavidaPipeline:
    """The same model, choosing its visual tokens by `method`.

    `pooled` is the released 2D pooling on `anyres` views and 2 × 2 averages on others; `full` keeps every token.

    Args:
        pipe: the model.
        method: checked by `check_method`.
        budget: for methods that take one.
        views: what the user asked for; None = what the checkpoint recommends, or else the method's own.
        seed: for methods that draw lots.

    Raises:
        BadInput: unknown views, or a budget that the method refuses.
    """
    chosen = method_views(method, views, Recommended.from_checkpoint(pipe.model.config.raw))
    if method == FULL:
        return replace(pipe, selector=None, views=chosen)
    if method == POOLED:
        return replace(pipe, selector=None if chosen == "anyres" else Pooling(), views=chosen)
    pipe = replace(pipe, selector=_selector(method, budget, seed), views=chosen)
    return replace(pipe, select_on="pixels") if method in ON_PIXELS else pipe


def method_views(method: str, views: str | None, recommended: Recommended) -> Views:
    """The views on which a method chooses: the user's, or else the checkpoint's, or else the method's own.

    Raises:
        BadInput: unknown views.
    """
    chosen = _known(views) or recommended.views or OWN_VIEWS.get(method, "anyres")
    return "anyres_full" if method == FULL and chosen == "anyres" else chosen


def _selector(method: str, budget: Budget, seed: int | None) -> Selector:
    options: dict[str, object] = {"budget": budget} if takes_budget(method) else {}
    if seed is not None and "seed" in accepted_options(method):
        options["seed"] = seed
    with bad_input(ValueError):
        return METHODS[method](**options)


def _known(views: str | None) -> Views | None:
    for name in get_args(Views):
        if name == views:
            known: Views = name
            return known
    if views is not None:
        raise BadInput(f"--views must be one of {', '.join(get_args(Views))}, got {views!r}")
    return None
