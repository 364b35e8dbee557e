"""Seeds by name: every random draw of a run comes from the run's seed and what the draw is for.

A draw depends on nothing that happened before it, so a resumed run repeats it, and so does every rank.
"""

from __future__ import annotations

from hashlib import blake2b

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2⁶³) for one purpose, such as `derive(seed, "noise", step, row)`."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator for one purpose: the same numbers whatever device they go to."""
    return torch.Generator().manual_seed(derive(seed, *purpose))
