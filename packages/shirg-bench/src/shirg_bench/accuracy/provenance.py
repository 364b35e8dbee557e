"""What decides a measured number beside its own settings: weights, code, versions, hardware."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import torch

PACKAGES = ("torch", "transformers", "numpy", "shirg-core", "shirg-lavida", "shirg-train", "shirg-bench")
SOURCES = ("shirg_core", "shirg_lavida", "shirg_train", "shirg_bench.accuracy")


def folder_digest(folder: Path) -> str:
    """A digest of every file in a folder, names included.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no checkpoint folder at {folder}")
    return _digest(folder, sorted(path for path in folder.rglob("*") if path.is_file()))


def source_digest(sources: Sequence[str] = SOURCES) -> str:
    """A digest of the code that answers: in a working copy it changes between two releases of one version."""
    folders = [Path(str(files(name))) for name in sources]
    return blake2b("".join(_digest(f, sorted(f.rglob("*.py"))) for f in folders).encode(), digest_size=8).hexdigest()


def versions() -> dict[str, str]:
    """Of Python and of every package whose code takes part."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def hardware() -> str:
    """Where a number was measured."""
    return f"CPU, {torch.get_num_threads()} threads of {os.cpu_count()} cores"


def _digest(folder: Path, paths: Iterable[Path]) -> str:
    digest = blake2b(digest_size=8)
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
