"""What time is read from, and the one thread that it is true for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

Now = Callable[[], float]
"""Milliseconds of work done so far."""


def clock(device: torch.device) -> Now:
    """Thread time on a CPU, wall time of a GPU whose queue is empty.

    Other work on the machine disturbs thread time least; it counts everything only under `one_thread`.
    """
    if device.type != "cuda":
        return lambda: 1e3 * time.thread_time()

    def now() -> float:
        torch.cuda.synchronize(device)
        return 1e3 * time.perf_counter()

    return now


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes in the calling thread, and in as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
