"""Rows of `shirg bench`: provenance, and merging into a results file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from shirg_bench.latency.lines import MEASURED, TIMED
from shirg_bench.results.merge import Rules, merged
from shirg_bench.results.provenance import now, provenance
from shirg_bench.results.rows import Row, rows_there, write_rows
from shirg_core.cli.errors import BadInput, bad_input

RULES = Rules(
    table=("kind",),
    line=("model", "dtype", "variant", "cache", "method", "tokens", "kept", "answer_tokens", "nfe"),
    together=(TIMED, tuple(name for name in MEASURED if name not in TIMED)),
    follow=("rounds", "versions", "time"),
    origin=("hardware", "seed"),
)
"""A line with another dtype, answer length or number of steps is a different line."""


def origin(command: str, seed: int, device: torch.device) -> dict[str, Any]:
    """Command, seed, time, versions and hardware, for every line of a run."""
    how = "wall time" if device.type == "cuda" else "thread time on 1 thread"
    return {**provenance(command, seed, device, how), "time": now()}


def check_results(path: Path) -> None:
    """Refuse a results file before hours are spent on it.

    Raises:
        BadInput: it cannot be read, its folder is not there, or a line is no JSON object.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"cannot write {path}: {'it is a folder' if path.is_dir() else f'no folder {path.parent}'}")
    with bad_input(ValueError), bad_input(OSError, UnicodeDecodeError, prefix=f"cannot read {path}: "):
        rows_there(path)


def replace_results(path: Path, rows: Sequence[Row], *, finished: bool = True) -> None:
    """Put `rows` in the place of the file's same lines, whole or not at all; all other lines stay.

    Times and peak are replaced separately, each as a whole: what this run did not measure keeps its old values and
    rounds. An unfinished run does not replace a line of more rounds.

    Raises:
        BadInput: the file cannot be read or written, or a value to keep was measured on other hardware or with another
            seed.
    """
    check_results(path)
    own = {row.get("model"): row.get("dtype") for row in rows if _asked_dtype(row.get("command", "")) is None}
    there = [_with_dtype(row, own) for row in rows_there(path)]
    with bad_input(ValueError), bad_input(OSError, prefix=f"cannot write {path}: "):
        write_rows(path, merged(path, there, rows, RULES, whole=False, finished=finished))


def rounded(row: Row) -> dict[str, Any]:
    """Five digits of every float: more is noise."""
    return {name: float(f"{value:.5g}") if isinstance(value, float) else value for name, value in row.items()}


def _with_dtype(row: Row, own: Mapping[Any, str | None]) -> Row:
    """A model's row without a dtype gets the one that its command asked for, else the model's `own`, if it is known."""
    if "dtype" in row or "model" not in row:
        return row
    told = {_asked_dtype(command) or own.get(row["model"]) for command in row.get("command", "").split("; ")}
    dtype = told.pop() if len(told) == 1 else None
    return row if dtype is None else {**row, "dtype": dtype}


def _asked_dtype(command: str) -> str | None:
    asked = re.search(r" --dtype (\w+)", command)
    return asked and asked[1]
