"""The clock of everything that is timed here, in milliseconds. Imports torch only where a GPU's queue is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import torch

Now: TypeAlias = Callable[[], float]
"""Milliseconds since some moment in the past."""


class Clock:
    """Wall time, or the calling thread's work; on a GPU, wall time with its queue empty.

    Args:
        device: where the work is done; None = the host.
        work: on a CPU, count the calling thread's own time, which other programs on the machine disturb least.

    Attributes:
        timings_ms: milliseconds of the stages so far, in the order in which they ended.
    """

    def __init__(self, device: torch.device | None = None, *, work: bool = False) -> None:
        self._wait = None
        if device is not None and device.type == "cuda":
            import torch  # the commands read the clock before they wait for torch

            self._wait = partial(torch.cuda.synchronize, device)
        self._seconds = time.thread_time if work and self._wait is None else time.perf_counter
        self.timings_ms: dict[str, float] = {}
        self._last = self.now()

    def now(self) -> float:
        """Milliseconds since some moment in the past."""
        if self._wait is not None:
            self._wait()
        return 1e3 * self._seconds()

    def lap(self) -> float:
        """Milliseconds since the last lap, or since the start."""
        last, self._last = self._last, self.now()
        return self._last - last

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as stage `name`; blocks of one name add up."""
        start = self.now()
        yield
        self.timings_ms[name] = round(self.timings_ms.get(name, 0.0) + self.now() - start, 3)


def stage(clock: Clock | None, name: str) -> AbstractContextManager[None]:
    """`clock.stage(name)`; nothing at all without a clock."""
    return nullcontext() if clock is None else clock.stage(name)
