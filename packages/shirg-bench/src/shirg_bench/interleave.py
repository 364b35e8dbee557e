"""How long one computation takes against another, measured so that a noisy machine does not decide.

Absolute times on a shared machine vary threefold; the ratio of two computations run in turn, pair by pair, does not.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass

from shirg_core.clock import Clock, Now


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
    now: Now | None = None,
) -> Ratio:
    """Run both in turn and compare pair by pair.

    Args:
        ours: the computation under test; must not return before its work is done.
        reference: what it is compared with, of about the same length, so that both see the same machine.
        pairs: counted pairs, ≥ 2.
        warmup: uncounted pairs, first.
        now: milliseconds; None = wall time. `Clock(work=True).now` counts the calling thread's work only, for
            computations on one thread.

    Raises:
        ValueError: fewer than two pairs.
    """
    if pairs < 2:
        raise ValueError(f"pairs must be ≥ 2, got {pairs}")
    for _ in range(warmup):
        ours()
        reference()
    now = now or Clock().now
    times = [(_ms(ours, now), _ms(reference, now)) for _ in range(pairs)]
    low, middle, high = statistics.quantiles((a / b for a, b in times), n=4)
    return Ratio(
        ratio=middle,
        ratio_q1=low,
        ratio_q3=high,
        ours_ms=statistics.median(a for a, _ in times),
        reference_ms=statistics.median(b for _, b in times),
        pairs=pairs,
    )


def _ms(run: Callable[[], object], now: Now) -> float:
    start = now()
    run()
    return now() - start
