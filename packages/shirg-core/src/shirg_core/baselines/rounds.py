"""Rounds of the methods that remove tokens a few at a time, as their authors do layer by layer."""

from __future__ import annotations

from collections.abc import Iterator


def even_rounds(n: int, k: int, rounds: int) -> Iterator[int]:
    """How many of n tokens go in each round, so that K are left: evenly, but never more than half of those there."""
    while n > k:
        share = -(-(n - k) // max(rounds, 1))
        gone = min(share, n // 2)
        yield gone
        n, rounds = n - gone, rounds - 1
