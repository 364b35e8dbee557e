"""When to give the adapter more rank: validation NLL still above the baseline's after a set share of the steps.

    grow to the next rank at step s   ⇔   s ≥ a_k · S   and   NLL(s) > NLL_baseline + margin

S: all steps, a_k: the k-th share. The baseline is what the recipe's baseline policy scores before training.
"""

from __future__ import annotations

from dataclasses import dataclass

from shirg_core.checks import real


@dataclass(frozen=True)
class EscalationConfig:
    """The rule.

    Args:
        ranks: ranks to grow to, ascending; empty = never.
        after: for each of them, the share of all steps after which it may come.
        margin: in nats per token.

    Raises:
        ValueError: ranks or shares that do not ascend, or not as many of one as of the other.
    """

    ranks: tuple[int, ...] = ()
    after: tuple[float, ...] = ()
    margin: float = 0.0

    def __post_init__(self) -> None:
        real("margin", self.margin)
        if len(self.ranks) != len(self.after):
            raise ValueError(f"escalation needs one share per rank, got ranks {self.ranks} and after {self.after}")
        if any(a >= b for a, b in zip(self.ranks, self.ranks[1:], strict=False)) or min(self.ranks, default=1) < 1:
            raise ValueError(f"escalation.ranks must ascend from ≥ 1, got {self.ranks}")
        if any(a >= b for a, b in zip(self.after, self.after[1:], strict=False)) or not all(
            0 <= share < 1 for share in self.after
        ):
            raise ValueError(f"escalation.after must ascend within [0, 1), got {self.after}")


def next_rank(
    config: EscalationConfig, *, rank: int, step: int, total_steps: int, nll: float, baseline_nll: float
) -> int | None:
    """The rank to grow to now, or None."""
    if nll <= baseline_nll + config.margin:
        return None
    for wanted, share in zip(config.ranks, config.after, strict=True):
        if wanted > rank:
            return wanted if step >= share * total_steps else None
    return None
