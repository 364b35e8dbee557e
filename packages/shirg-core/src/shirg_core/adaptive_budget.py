"""A budget that the model decides answer by answer: the lowest of a few at which it is sure enough.

    h(K) = mean over masked answer positions of H(p)        at the first denoising step, with K kept tokens
    K    = the lowest rung with h(K) ≤ threshold, or the highest one

Rungs double from `low` until `high` is reached. Cheap to import, because commands read budgets before they wait for
torch; `shirg_lavida.adaptive` asks the model.
"""

from __future__ import annotations

from dataclasses import dataclass

from shirg_core.checks import count_or_share, real

THRESHOLD = 0.2
"""Nats."""


@dataclass(frozen=True)
class AdaptiveBudget:
    """See the module.

    Args:
        low: the budget that is tried first, K ≥ 1 or a fraction in (0, 1] of the selectable tokens.
        high: the last one, a larger number of the same kind.
        threshold: in nats; 0 always goes to `high`, as a model is never certain.

    Raises:
        ValueError: a value of the wrong kind or out of range.
    """

    low: int | float = 1 / 12
    high: int | float = 1 / 3
    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, count_or_share(f"adaptive budget: {name}", getattr(self, name)))
        if type(self.low) is not type(self.high):
            raise ValueError(
                "adaptive budget: low and high must both be counts or both fractions (1.0 is all tokens), "
                f"got {self.low} and {self.high}"
            )
        if self.low >= self.high:
            raise ValueError(f"adaptive budget: high must be more than low, got {self.low} and {self.high}")
        object.__setattr__(self, "threshold", real("adaptive budget: threshold", self.threshold, low=0))

    @property
    def rungs(self) -> tuple[int | float, ...]:
        """The budgets, ascending."""
        rungs = [self.low]
        while 2 * rungs[-1] < self.high:
            rungs.append(2 * rungs[-1])
        return (*rungs, self.high)

    def __str__(self) -> str:
        """As a person types it: `auto:0.08-0.5@0.1`."""
        return f"auto:{self.low}-{self.high}@{self.threshold}"
