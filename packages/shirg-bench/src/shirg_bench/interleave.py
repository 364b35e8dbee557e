"""How long one computation takes against another, measured so that a noisy machine does not decide.

Absolute times on a shared machine vary threefold; the ratio of two computations run in turn, pair by pair, does not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Ratio:
    """The outcome of an interleaved measurement.

    Attributes:
        ratio: median over the pairs of ours / reference.
        ratio_q1: first quartile.
        ratio_q3: third quartile.
        ours_ms: median time of ours.
        reference_ms: median time of the reference.
        pairs: how many pairs were counted.
    """

    ratio: float
    ratio_q1: float
    ratio_q3: float
    ours_ms: float
    reference_ms: float
    pairs: int

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def interleaved_ratio(
    ours: Callable[[], object],
    reference: Callable[[], object],
    *,
    pairs: int = 15,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Ratio:
    """Run both in turn and compare pair by pair.

    Args:
        ours: the computation under test; must not return before its work is done.
        reference: what it is compared with, of about the same length, so that both see the same machine.
        pairs: counted pairs, ≥ 2.
        warmup: uncounted pairs, first.
        clock: seconds; `time.thread_time` counts the calling thread's work only, for computations on one thread.

    Raises:
        ValueError: fewer than two pairs.
    """
    if pairs < 2:
        raise ValueError(f"pairs must be ≥ 2, got {pairs}")
    for _ in range(warmup):
        ours()
        reference()
    times = [(_seconds(ours, clock), _seconds(reference, clock)) for _ in range(pairs)]
    low, middle, high = statistics.quantiles((a / b for a, b in times), n=4)
    return Ratio(
        ratio=middle,
        ratio_q1=low,
        ratio_q3=high,
        ours_ms=1e3 * statistics.median(a for a, _ in times),
        reference_ms=1e3 * statistics.median(b for _, b in times),
        pairs=pairs,
    )


def _seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return clock() - start
