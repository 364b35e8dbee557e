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
from shirg_bench.latency.merge import merged
from shirg_bench.records import machine
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.files import write_text

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

    Lines of another dtype, answer length or number of steps are other lines. Times that were not measured this time
    stay together, with their rounds, and so does the peak; of times measured anew no old one stays. Unless the run is
    `finished`, a line of more rounds stays.

    Raises:
        BadInput: the file cannot be read or written, or a value to keep was measured on other hardware or with another
            seed.
    """
    lines = merged(path, read_results(path), rows, finished=finished)
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    with bad_input(OSError, prefix=f"cannot write {path}: "):
        write_text(path, text)


def rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Five digits of every float: more is noise."""
    return {name: float(f"{value:.5g}") if isinstance(value, float) else value for name, value in row.items()}
