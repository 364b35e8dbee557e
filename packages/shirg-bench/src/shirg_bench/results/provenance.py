"""Where a number comes from: command, seed, time, versions, source code, weights and hardware."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from shirg_core.versions import versions

SOURCES = ("shirg_core", "shirg_lavida", "shirg_train")
CPU_FACTS = Path("/proc/cpuinfo")


def provenance(command: str, seed: int, device: torch.device, how: str = "") -> dict[str, Any]:
    """Fields that every row of a run shares: command, seed, versions, hardware.

    `how` says more about the hardware, such as threads.
    """
    where = ", ".join(part for part in (hardware(device), how) if part)
    return {"command": command, "seed": seed, "versions": versions(), "hardware": where}


def now() -> str:
    """The present time in UTC, to a second; of times, which other work on the machine may have disturbed."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def hardware(device: torch.device) -> str:
    """What absolute times are true for: a GPU's name, or a CPU's with its cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.machine()
    if CPU_FACTS.is_file():
        models = [line for line in CPU_FACTS.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return f"{name} CPU, {os.cpu_count()} cores"


def digest(value: object) -> str:
    """SHA-256 of a value in JSON's types."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def folder_digest(folder: Path) -> str:
    """A digest of every file in a folder, names included.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no checkpoint folder at {folder}")
    return _digest(folder, sorted(path for path in folder.rglob("*") if path.is_file()))


def source_digest(*more: str, sources: Sequence[str] = SOURCES) -> str:
    """A digest of the code that answers, `sources` and `more`: it changes between two releases of one version."""
    folders = [Path(str(files(name))) for name in (*sources, *more)]
    return blake2b("".join(_digest(f, sorted(f.rglob("*.py"))) for f in folders).encode(), digest_size=8).hexdigest()


def _digest(folder: Path, paths: Iterable[Path]) -> str:
    digest = blake2b(digest_size=8)
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
