"""`gen_kwargs` for an autoregressive model: what it follows, and what only a diffusion sampler has.

A class of lmms-eval takes the names that it knows and passes over the others in silence. So what a command line asks
for is compared with what arrives in `generate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmms_eval.evaluator_utils import get_task_list  # type: ignore[import-untyped]
from lmms_eval.utils import simple_parse_args_string  # type: ignore[import-untyped]

from shirg_bench.lmms.sampling import AUTOREGRESSIVE, SAMPLER
from shirg_bench.lmms.values import Kind, amount, count, is_none, typed
from shirg_core.checks import check_known
from shirg_core.cli.errors import BadInput, bad_input

FOLLOWED: Mapping[str, Kind] = {
    "max_new_tokens": count,
    "temperature": amount,
    **{name: AUTOREGRESSIVE[name] for name in ("top_p", "top_k", "num_beams")},
}
DIFFUSION = frozenset(SAMPLER) - FOLLOWED.keys()
_OPTION = "--gen-kwargs: "


def overrides(text: str) -> dict[str, Any]:
    """`name=value,…` by name; a name that is `none` leaves out a task's own argument, whatever its name.

    Raises:
        BadInput: not of that form, a name that is unknown or only a diffusion sampler's, or a value out of range.
    """
    if wrong := next((pair for pair in text.split(",") if text and not all(pair.partition("=")[::2])), None):
        raise BadInput(f"--gen-kwargs must be name=value,name=value,…, got {wrong!r}")
    given: dict[str, object] = simple_parse_args_string(text.replace(" ", ""))
    asked = {name: value for name, value in given.items() if not is_none(value)}
    for name in asked:
        if name in DIFFUSION:
            raise BadInput(f"{_OPTION}{name} is the diffusion sampler's, and a --backend is autoregressive")
    with bad_input(ValueError, prefix=_OPTION):
        values = typed(asked, FOLLOWED, "generation argument of a backend:")
        _check(values)
    return values | dict.fromkeys(given.keys() - asked.keys())


def _check(values: Mapping[str, Any]) -> None:
    lowest = {"max_new_tokens": 1, "num_beams": 1, "temperature": 0, "top_p": 0, "top_k": 0}
    for name, value in values.items():
        if not value >= lowest[name]:
            raise ValueError(f"{name} must be at least {lowest[name]}, got {value}")


def passed_on(own: Mapping[str, object]) -> dict[str, object]:
    """A task's arguments without those of a diffusion sampler, and without those that are left out."""
    return {name: value for name, value in own.items() if name not in DIFFUSION and not is_none(value)}


def check_tasks(loaded: Mapping[Any, Any], changes: Mapping[str, Any]) -> dict[str, list[str]]:
    """Whether a model of lmms-eval can answer every task, before it is asked.

    Returns:
        Per task, sentences on those of its arguments that are a diffusion sampler's; tasks without any are left out.

    Raises:
        BadInput: a task that does not generate an answer to one question, or an argument to be left out of none.
    """
    found: dict[str, list[str]] = {}
    known = {*FOLLOWED, *DIFFUSION}
    for output in get_task_list(dict(loaded)):
        config = output.task.config
        if config.output_type != "generate_until":
            raise BadInput(
                f"task {output.task_name!r} is {config.output_type}: a --backend answers generate_until only"
            )
        own = config.generation_kwargs or {}
        known |= own.keys()
        left = [f"{name}={value}" for name, value in own.items() if name in DIFFUSION and name not in changes]
        if left:
            found[output.task_name] = [f"{', '.join(left)}: a diffusion sampler's"]
    with bad_input(ValueError, prefix=_OPTION):
        for name in changes:
            check_known(name, known, "generation argument")
    return found


def check_followed(asked: Mapping[str, Any], given: Mapping[str, Any], backend: str) -> None:
    """Whether what a command line asks for has arrived.

    Raises:
        BadInput: naming the first argument that the class of lmms-eval has passed over.
    """
    for name, value in asked.items():
        if name not in FOLLOWED or value is None:
            continue
        arrived = given.get(name)
        if name == "temperature" and not value:
            value, arrived = False, given.get("do_sample", False)
        if arrived != value:
            raise BadInput(f"{_OPTION}backend {backend!r} passes over {name}={value}: its model got {arrived}")
