"""`--gen-kwargs`: generation arguments on the command line, which override those of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lmms_eval.evaluator_utils import get_task_list  # type: ignore[import-untyped]
from lmms_eval.utils import simple_parse_args_string  # type: ignore[import-untyped]

from shirg_bench.lmms.sampling import AUTOREGRESSIVE, HARNESS, KNOWN, SAMPLER, WHAT, Sampling, parse_sampling
from shirg_bench.lmms.settings import ModelSettings
from shirg_bench.lmms.values import amount, is_none, typed
from shirg_core.checks import check_known
from shirg_core.cli.errors import BadInput, RunFailed, bad_input

_OPTION = "--gen-kwargs: "


def overrides(text: str) -> str:
    """`name=value,…` as lmms-eval should read it: a temperature brings the `do_sample` that agrees with it.

    Raises:
        BadInput: not of that form, an unknown name, or a value that no task could make usable.
    """
    pairs = [pair.partition("=") for pair in text.split(",") if text]
    if wrong := ["".join(pair) for pair in pairs if not (pair[0].strip() and pair[1])]:
        raise BadInput(f"--gen-kwargs must be name=value,name=value,…, got {wrong[0]!r}")
    clean = ",".join(f"{name.strip()}={value}" for name, _, value in pairs)
    with bad_input(ValueError, prefix=_OPTION):
        values = _read(clean)
        check_override(values)
        temperature = values.get("temperature")
        if is_none(temperature) or "do_sample" in values:
            return clean
        return f"{clean},do_sample={amount(temperature) > 0}"


def check_tasks(loaded: Mapping[Any, Any], given: str, settings: ModelSettings, length: int) -> dict[str, list[str]]:
    """Whether every task that generates can be sampled, before a model is asked.

    Returns:
        Per task, sentences on those of its arguments that are ignored; tasks without any are left out.

    Raises:
        BadInput: the overrides do not go with a task, or leave out an argument that no task has.
        RunFailed: without any, a task's own arguments cannot be followed.
    """
    changes = _read(given)
    found: dict[str, list[str]] = {}
    known = set(KNOWN)
    for output in get_task_list(dict(loaded)):
        config = output.task.config
        if "generate_until" not in config.output_type:
            continue
        own = config.generation_kwargs or {}
        known |= own.keys()
        try:
            sampling = parse_sampling(
                {**own, **changes}, settings.sampling, max_new_tokens=length, cache=settings.cache
            )
            _check_none_ignored(sampling, changes)
        except ValueError as error:
            where = f"task {output.task_name!r}: {error}"
            raise (BadInput(f"{_OPTION}{where}") if changes else RunFailed(where)) from error
        if sampling.ignored:
            found[output.task_name] = [why for _, why in sampling.ignored]
    with bad_input(ValueError, prefix=_OPTION):
        for name in changes:
            check_known(name, known, WHAT)
    return found


def check_override(given: Mapping[str, object]) -> None:
    """Whether any task could be asked with these `gen_kwargs` over its own, which may complete them.

    A name that is `none` leaves out a task's own argument, whatever its name; whether a task has it is not known here.

    Raises:
        ValueError: as `parse_sampling`, or an argument that would be ignored.
    """
    kept = {name: value for name, value in given.items() if not is_none(value)}
    for name, value in kept.items():
        check_known(name, KNOWN, WHAT)
        if name in HARNESS:
            raise ValueError(f"{name}={value} changes nothing here: {HARNESS[name]}")
    kinds = {**SAMPLER, **AUTOREGRESSIVE}
    values = typed({name: value for name, value in kept.items() if name in kinds}, kinds, WHAT)
    completed = {"schedule": "shift"} if values.keys() & {"shift", "schedule__shift"} else {}
    length = values.get("max_new_tokens", values.get("block_length"))
    completed |= {} if length is None else {"max_new_tokens": length, "block_length": length}
    # A task may bring the temperature that `do_sample` and its like need.
    left_open = {} if "temperature" in values else {"do_sample", "top_p", "top_k"}
    own = {name: value for name, value in kept.items() if name not in left_open}
    _check_none_ignored(parse_sampling({**completed, **own}, {}, max_new_tokens=1), kept)


def _check_none_ignored(sampling: Sampling, given: Iterable[str]) -> None:
    """Refuse to ignore what somebody asked for by name.

    Raises:
        ValueError: the first of `given` that `sampling` ignores.
    """
    for name, why in sampling.ignored:
        if name in given:
            raise ValueError(f"{why}; leave it out")


def _read(text: str) -> dict[str, object]:
    values: dict[str, object] = simple_parse_args_string(text)
    return values
