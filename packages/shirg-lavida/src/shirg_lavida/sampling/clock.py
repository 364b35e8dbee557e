"""A stopwatch that knows about devices that run ahead of the host."""

from __future__ import annotations

import time

import torch


class Clock:
    """Measures wall time between laps; with `synchronise` it waits for a GPU's queue first."""

    def __init__(self, device: torch.device, *, synchronise: bool) -> None:
        self._device = device if synchronise and device.type == "cuda" else None
        self._last = self._now()

    def lap(self) -> float:
        """Milliseconds since the last lap, or since the start."""
        last, self._last = self._last, self._now()
        return (self._last - last) * 1e3

    def _now(self) -> float:
        if self._device is not None:
            torch.cuda.synchronize(self._device)
        return time.perf_counter()
