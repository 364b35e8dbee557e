"""Measuring without noise: one thread, and no log of PyTorch's profiler, which no option of it turns off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

STDERR = 2


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes in the calling thread, and in as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet_profiler() -> Iterator[None]:
    """Drop what the process writes to its stderr; exceptions pass."""
    kept, nowhere = os.dup(STDERR), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDERR)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
