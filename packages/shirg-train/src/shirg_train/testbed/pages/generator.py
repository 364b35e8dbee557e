"""Random numbers that belong to a page, not to a batch.

Every page owns a 64-bit seed; its k-th number is `mix(seed + k·γ)` (splitmix64: a Weyl sequence and an avalanche).
Numbers of many pages are drawn at once, and a page is the same whichever batch it is drawn in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection of 64-bit integers in which every input bit flips half of the output bits."""
    x = (x ^ (x >> np.uint64(30))) * _MULTIPLIERS[0]
    x = (x ^ (x >> np.uint64(27))) * _MULTIPLIERS[1]
    return x ^ (x >> np.uint64(31))


class RowGenerator:
    """One stream of random numbers per row.

    Args:
        seeds: `[R]` integers ≥ 0, one per row.
    """

    def __init__(self, seeds: ArrayLike) -> None:
        self.seeds: NDArray[np.uint64] = mix(np.asarray(seeds).astype(np.uint64) + _GAMMA)
        self._drawn = 0

    def __len__(self) -> int:
        return len(self.seeds)

    def uniform(self, n: int, low: float = 0.0, high: float = 1.0) -> NDArray[np.float32]:
        """`[R, n]` in [low, high)."""
        index = np.arange(self._drawn + 1, self._drawn + n + 1, dtype=np.uint64)
        self._drawn += n
        bits = mix(self.seeds[:, None] + index * _GAMMA)
        unit = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)
        return unit * np.float32(high - low) + np.float32(low)

    def integers(self, n: int, low: int, high: int | NDArray[np.integer]) -> NDArray[np.int64]:
        """`[R, n]` in low … high − 1; `high` may be an array that broadcasts against `[R, n]`."""
        return np.asarray(low + self.uniform(n) * (np.asarray(high) - low), np.int64)

    def choose(self, weights: ArrayLike, n: int) -> NDArray[np.int64]:
        """`[R, n]` indices, drawn with the given weights."""
        edges = np.cumsum(np.asarray(weights, np.float64))
        return np.asarray(np.searchsorted(edges[:-1] / edges[-1], self.uniform(n), side="right"))

    def permutation(self, n: int) -> NDArray[np.int64]:
        """`[R, n]`, every row an order of 0 … n − 1."""
        return np.argsort(self.uniform(n), axis=1, kind="stable")

    def at(self, rows: NDArray[np.integer], salt: NDArray[np.integer] | int) -> RowGenerator:
        """Independent streams, one for each pair of a row of this and a salt."""
        salted = mix(np.atleast_1d(salt).astype(np.uint64) * _GAMMA + np.uint64(1))
        child = RowGenerator(np.zeros(0, np.uint64))
        child.seeds = mix(self.seeds[rows] ^ salted)
        return child
