"""Measured again: which rows are the same line of a table, and what such a line keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shirg_bench.latency.lines import MEASURED, TIMED
from shirg_core.cli.errors import BadInput

LINE = ("kind", "model", "dtype", "variant", "cache", "method", "tokens", "kept", "answer_tokens", "nfe")
"""Rows that agree in these are the same line of the same table."""
TOGETHER = (TIMED, tuple(name for name in MEASURED if name not in TIMED))
"""Columns that one measurement gives; those of two are never mixed."""
ALIKE = {"hardware": "{!r}", "seed": "seed {}"}
"""What values of one line must share, and how it is told."""


def merged(
    path: Path, there: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], *, finished: bool
) -> list[dict[str, Any]]:
    """`there` without the lines that `rows` measure again, then `rows` with what such a line keeps.

    Args:
        path: the file, for the message.
        there: its rows; those from before dtypes were recorded are given theirs, see `_with_dtype`.
        rows: of one run.
        finished: see `shirg_bench.latency.results.replace_results`.

    Raises:
        BadInput: a value to keep was measured on other hardware or with another seed.
    """
    fresh = {_line(row): dict(row) for row in rows}
    own = {row.get("model"): row.get("dtype") for row in rows if _asked_dtype(row.get("command", "")) is None}
    kept = []
    for old in (_with_dtype(row, own) for row in there):
        new = fresh.get(_line(old))
        if new is None:
            kept.append(old)
        elif finished or (old.get("rounds") or 0) <= (new.get("rounds") or 0):
            fresh[_line(old)] = _filled(path, new, old)
        else:
            fresh[_line(old)] = old
    return [*kept, *fresh.values()]


def _line(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in LINE)


def _with_dtype(row: Mapping[str, Any], own: Mapping[Any, str | None]) -> dict[str, Any]:
    """A model's row without a dtype gets the one that its command asked for, else the model's `own`, if it is known."""
    if "dtype" in row or "model" not in row:
        return dict(row)
    told = {_asked_dtype(command) or own.get(row["model"]) for command in row.get("command", "").split("; ")}
    dtype = told.pop() if len(told) == 1 else None
    return dict(row) if dtype is None else {**row, "dtype": dtype}


def _asked_dtype(command: str) -> str | None:
    asked = re.search(r" --dtype (\w+)", command)
    return asked and asked[1]


def _filled(path: Path, new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for group in TOGETHER if all(new.get(each) is None for each in group) for name in group]
    kept = {name: old[name] for name in missing if old.get(name) is not None}
    if not kept:
        return dict(new)
    for fact, words in ALIKE.items():
        if old.get(fact) != new.get(fact):
            raise BadInput(
                f"{path} has {', '.join(kept)} of {old.get('variant')} from {words.format(old.get(fact))}, "
                f"this is {words.format(new.get(fact))}: write to another file"
            )
    timed = old if any(name in TIMED for name in kept) else new
    commands = [*old["command"].split("; "), new["command"]]
    of_the_times = {name: timed.get(name) for name in ("rounds", "versions", "time") if name in new or name in timed}
    return {**new, **kept, **of_the_times, "command": "; ".join(dict.fromkeys(commands))}
