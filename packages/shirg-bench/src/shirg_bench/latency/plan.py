"""What to measure, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

UNCACHED_STEPS = 1
"""Steps that a round runs without cache: each costs a whole prefill, and all cost the same."""


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        latency: times; there are none otherwise.
        memory: peak bytes; there are none otherwise.
        caches: with the prefix cache, without it, or both.
        rounds: ≥ 1.
        answer_tokens: L.
        step_ratio: steps / L.
        seed: of randomised methods.
    """

    latency: bool = True
    memory: bool = True
    caches: tuple[bool, ...] = (True, False)
    rounds: int = 3
    answer_tokens: int = 32
    step_ratio: float = 0.5
    seed: int = 0

    @property
    def nfe(self) -> int:
        """Steps of an answer."""
        return max(1, int(self.answer_tokens * self.step_ratio))

    def options(self, cache: bool) -> dict[str, Any]:
        """Of the sampler. One block, so that steps are as many as planned."""
        steps = self.nfe if cache else min(UNCACHED_STEPS, self.nfe)
        length = self.answer_tokens
        # The sampler takes a divisor of steps by blocks; with one block any number does.
        return {"answer_length": length, "block_length": length, "steps": steps, "cache": cache}

    def visits(self, variants: int) -> int:
        """Calls of `report`."""
        return variants * (1 + self.memory + self.latency * self.rounds)
