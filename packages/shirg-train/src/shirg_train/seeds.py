"""Seeds by name: every random draw of a run comes from the run's seed and what the draw is for.

A draw depends on nothing that happened before it, so a resumed run repeats it, and so does every rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol, TypeVar

import torch

T = TypeVar("T", bound="Weighted")


class Weighted(Protocol):
    """One of several things to draw from."""

    @property
    def weight(self) -> float:
        """How often it is drawn, relative to the others."""
        ...


def derive(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2⁶³) for one purpose, such as `derive(seed, "noise", step, row)`."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator for one purpose: the same numbers whatever device they go to."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


def draw(items: Sequence[T], seed: int, *purpose: str | int) -> T:
    """One of `items`, by weight."""
    weights = torch.tensor([item.weight for item in items], dtype=torch.float32)
    return items[int(torch.multinomial(weights, 1, generator=generator(seed, *purpose)))]
