"""Selectors by the names a person types, built from the options that person gave."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial

from shirg_core.baselines import BASELINES, ConditionalDPP
from shirg_core.budget import Budget
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.presets import ShirgV2, ShirgV3
from shirg_core.selection import Selector

METHODS: dict[str, Callable[..., Selector]] = {
    "v3": ShirgV3,
    "v2": ShirgV2,
    **BASELINES,
    "dpp": partial(ConditionalDPP, relevance="uniform"),
}
"""Name → builder that takes `budget=` and any of the options below that it has a use for."""

NEED_TEXT = frozenset({"top-relevance", "cdpruner"})
"""Methods that have no meaning without text, which the featurizer `pixels` does not have."""

COMPARED = ("v3", "v2", "uniform", "random", "top-variance", "divprune", "saint", "dpp")
"""What `shirg compare` shows unasked: pure selections; a merged token shows more than its own patch, which ink recall
does not see."""


def build_selector(method: str, budget: Budget, options: Mapping[str, object]) -> Selector:
    """The selector `method` with what the user asked for.

    Args:
        method: a key of `METHODS`.
        budget: K, or a fraction; methods that decide their count themselves take none.
        options: `coverage`, `coverage_share`, `text_weight`, `seed`; None = not given.

    Raises:
        BadInput: unknown method, an option it has no use for, a value out of range, or text relevance without a model.
    """
    if method not in METHODS:
        raise BadInput(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    accepted = accepted_options(method)
    given = {name: value for name, value in options.items() if value is not None}
    if unused := [name for name in given if name not in accepted]:
        raise BadInput(f"method {method!r} has no option --{unused[0].replace('_', '-')}")
    if method in NEED_TEXT:
        raise BadInput(f"text relevance needs a model: without one, {method} cannot run")
    if "text_weight" in accepted and given.get("text_weight") != 0:
        raise BadInput(f"text relevance needs a model: without one, {method} runs only with --text-weight 0")
    if "budget" in accepted:
        given["budget"] = budget
    with bad_input(ValueError):
        return METHODS[method](**given)


def accepted_options(method: str) -> set[str]:
    """Options the builder of `method` takes."""
    return set(inspect.signature(METHODS[method]).parameters)


def parse_budget(text: str) -> Budget:
    """`"768"` → 768, `"0.3333"` → 0.3333.

    Raises:
        BadInput: neither a count ≥ 1 nor a fraction in (0, 1].
    """
    problem = BadInput(f"--budget must be a count ≥ 1 or a fraction in (0, 1], got {text!r}")
    try:
        value = int(text) if text.isascii() and text.isdigit() else float(text)
    except ValueError as error:
        raise problem from error
    if value < 1 if isinstance(value, int) else not 0 < value <= 1:
        raise problem
    return value
