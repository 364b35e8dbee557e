"""Results as JSON lines, each saying what produced it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from shirg_bench import __version__
from shirg_bench.json_lines import read_rows
from shirg_bench.records import machine
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.output import write_file

LINE = ("kind", "model", "variant", "cache", "method", "tokens", "kept", "nfe")
"""Rows that agree in these are the same line of the same table."""
CPU_FACTS = Path("/proc/cpuinfo")


def provenance(command: str, seed: int, device: torch.device) -> dict[str, Any]:
    """Command, seed, time, versions and hardware, for every line of a run."""
    facts = machine()
    versions: dict[str, Any] = {"shirg-bench": __version__, "transformers": transformers.__version__}
    versions |= {name: facts[name] for name in ("python", "torch", "triton", "cuda")}
    return {"command": command, "seed": seed, "time": facts["time"], "versions": versions, "hardware": hardware(device)}


def hardware(device: torch.device) -> str:
    """What the absolute times of a run are true for."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, wall time"
    name = platform.machine()
    if CPU_FACTS.is_file():
        models = [line for line in CPU_FACTS.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return f"{name} CPU, {os.cpu_count()} cores, thread time on 1 thread"


def read_results(path: Path) -> list[dict[str, Any]]:
    """The lines of a results file; none where there is no file.

    Raises:
        BadInput: it cannot be read or written beside, or a line is no JSON object.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"cannot write {path}: {'it is a folder' if path.is_dir() else f'no folder {path.parent}'}")
    if not path.exists():
        return []
    with bad_input(ValueError), bad_input(OSError, UnicodeDecodeError, prefix=f"cannot read {path}: "):
        return read_rows(path)


def replace_results(path: Path, rows: Sequence[Mapping[str, Any]], *, finished: bool = True) -> None:
    """Put `rows` in the place of the file's same lines, whole or not at all; all other lines stay.

    A column that was not measured this time keeps its value. Unless the run is `finished`, a line of more rounds stays.

    Raises:
        BadInput: the file cannot be read or written, or a value to keep was measured on other hardware.
    """
    fresh = {_line(row): dict(row) for row in rows}
    there = read_results(path)
    for old in there:
        new = fresh.get(_line(old))
        if new is not None:
            early = not finished and (old.get("rounds") or 0) > (new.get("rounds") or 0)
            fresh[_line(old)] = old if early else _filled(path, new, old)
    kept = [row for row in there if _line(row) not in fresh]
    text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in (*kept, *fresh.values()))
    write_file(path, lambda temporary: _write_text(temporary, text))


def _line(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in LINE)


def _filled(path: Path, new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in old.items() if value is not None and name in new and new[name] is None}
    if not kept:
        return dict(new)
    if old["hardware"] != new["hardware"]:
        name = old.get("variant") or old.get("method")
        raise BadInput(
            f"{path} has {', '.join(kept)} of {name} from {old['hardware']!r}, this is {new['hardware']!r}: write to "
            f"another file"
        )
    commands = [*old["command"].split("; "), new["command"]]
    return {**new, **kept, "command": "; ".join(dict.fromkeys(commands))}


def rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Five digits of every float: more is noise."""
    return {name: float(f"{value:.5g}") if isinstance(value, float) else value for name, value in row.items()}


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
