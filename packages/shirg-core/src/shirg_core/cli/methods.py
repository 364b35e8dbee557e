"""Methods and budgets as a person types them. Cheap to import: torch comes with a selector that is built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.checks import count_or_share
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.methods import get_method

if TYPE_CHECKING:
    from shirg_core.budget import Budget
    from shirg_core.selection import Selector

AUTO = "auto"
"""How a budget begins that a model decides."""
COMPARED = ("v4", "v3", "v2", "uniform", "random", "top-variance", "divprune", "saint", "dpp")
"""What `shirg compare` shows unasked: pure selections; a merged token shows more than its own patch, which ink recall
does not see."""


def check_method(name: str | None, budget: str | None, command: str | None = None, *, adaptive: bool = False) -> None:
    """Refuse an unknown method and a malformed budget before anything large is imported; None = not given.

    Raises:
        BadInput: either.
    """
    if name is not None:
        with bad_input(ValueError):
            get_method(name, command)
    if budget is not None:
        (parse_any_budget if adaptive else parse_budget)(budget)


def build_selector(name: str, budget: Budget, options: Mapping[str, object]) -> Selector:
    """The selector `name` with what the user asked for.

    Options are `coverage`, `coverage_share`, `text_weight` and `seed`; None = not given.

    Raises:
        BadInput: unknown method, an option it has no use for, a value out of range, or text relevance or a tower's
            attention without a model.
    """
    with bad_input(ValueError):
        method = get_method(name)
        if method.later is not None:
            method.build()
    given = {option: value for option, value in options.items() if value is not None}
    if unused := [option for option in given if option not in method.fields]:
        raise BadInput(f"method {method.name!r} has no option --{unused[0].replace('_', '-')}")
    if "text" in method.needs and given.get("text_weight") != 0:
        possible = "runs only with --text-weight 0" if "text_weight" in method.fields else "cannot run"
        raise BadInput(f"text relevance needs a model: without one, {method.name} {possible}")
    if "attention" in method.needs:
        raise BadInput(f"the vision tower's attention needs a model: without one, {method.name} cannot run")
    with bad_input(ValueError, options=given):
        return method.build(**method.accepted(budget=budget), **given)


def parse_budget(text: str) -> Budget:
    """`"768"` → 768; `"0.25"`, `"1/4"` and `"25%"` → 0.25.

    Raises:
        BadInput: neither a count ≥ 1 nor a fraction in (0, 1].
    """
    if text.startswith(AUTO):
        raise BadInput(
            f"--budget {text} is a LaViDa model's choice: shirg ask, eval without --backend, ablate --what adaptive"
        )
    try:
        if text.isascii() and text.isdigit():
            value: Budget = int(text)
        elif "/" in text or text.endswith("%"):
            value = float(Fraction(text) if "/" in text else Fraction(text[:-1]) / 100)
        else:
            value = float(text)
        return count_or_share("budget", value)
    except (ValueError, ZeroDivisionError) as error:
        problem = "--budget must be a count ≥ 1 or a fraction in (0, 1] such as 0.25, 1/4 or 25%"
        raise BadInput(f"{problem}, got {text!r}") from error


def parse_any_budget(text: str) -> Budget | AdaptiveBudget:
    """What `parse_budget` reads, and `auto`, `auto:LOW-HIGH`, `auto@NATS` and `auto:LOW-HIGH@NATS`.

    Raises:
        BadInput: none of these.
    """
    if not text.startswith(AUTO):
        return parse_budget(text)
    # The minus of 1e-05, which Python writes for small numbers, separates nothing.
    number = r"((?:[^-@]|(?<=[0-9]e)-)+)"
    found = re.fullmatch(rf"auto(?::{number}-{number})?(?:@([0-9.]+(?:e-[0-9]+)?))?", text)
    if found is None:
        raise BadInput(
            f"--budget must be auto, auto:LOW-HIGH or auto:LOW-HIGH@NATS, such as auto:0.08-0.5, got {text!r}"
        )
    low, high, threshold = found.groups()
    given: dict[str, float] = {} if low is None else {"low": parse_budget(low), "high": parse_budget(high)}
    with bad_input(ValueError, prefix=f"--budget {text}: "):
        return AdaptiveBudget(**given, **({} if threshold is None else {"threshold": float(threshold)}))
