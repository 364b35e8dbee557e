"""Versions of what takes part in a result."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import torch

PACKAGES = ("triton", "transformers", "numpy", "shirg-core", "shirg-lavida", "shirg-train", "shirg-bench")


def versions() -> dict[str, str | None]:
    """Of Python, PyTorch, its CUDA, and every package whose code takes part; None = not there."""
    found = {"python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda}
    return {**found, **{name: _version(name) for name in PACKAGES}}


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
