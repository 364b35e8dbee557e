"""How many tokens each step of a block settles, exactly as the released sampler plans it.

For m masked tokens, n steps and a curve σ: [0, 1] → [0, 1],

    c_i = max(1, ⌊σ((i + 1)/n) m⌋ − ⌊σ(i/n) m⌋),   i = 0 … n − 1

then the surplus Σc − m is taken back one token at a time, round robin from i = 0, from steps that settle more than
one, and the plan is **reversed**: a curve that rises late therefore settles many tokens *early*. Curves:

    linear σ(t) = t     cosine σ(t) = 1 − (1 + cos πt)/2     shift σ(t) = s t / (1 + (s − 1) t)
    logit_normal σ(t) = Φ(log(t / (1 − t)))

With `schedule=None` there is no curve: every step settles ⌊m / n⌋ tokens and the first m mod n steps one more. That
differs from "linear", whose floors put the larger steps elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from shirg_core.numbers import real

_CURVES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "linear": lambda t, _: t,
    "cosine": lambda t, _: 1 - 0.5 * (1 + torch.cos(math.pi * t)),
    "shift": lambda t, s: s * t / (1 + (s - 1) * t),
    "logit_normal": lambda t, _: 0.5 * (1 + torch.erf(torch.log(t / (1 - t)) / math.sqrt(2))),
}

SCHEDULES: tuple[str | None, ...] = (None, *_CURVES)
"""Valid values of `schedule`."""


def transfer_plan(
    masked: Sequence[int], steps: int, *, schedule: str | None = None, shift: float = 1 / 3
) -> list[list[int]]:
    """Tokens to settle per row and step.

    Args:
        masked: m of every row.
        steps: n, the steps a block may take, ≥ 1. With a curve, a row takes at most m of them.
        schedule: a curve's name, or None.
        shift: s of "shift", > 0. Below 1 more tokens are settled early, above 1 late.

    Returns:
        One list of `steps` counts per row; a row's counts sum to its m.

    Raises:
        ValueError: no steps, an unknown schedule, or a shift that is not a positive number or is beyond float32.
    """
    if steps < 1:
        raise ValueError(f"a block needs at least one step, got {steps}")
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {SCHEDULES}, got {schedule!r}")
    real("shift", shift, above=0)
    if schedule is None:
        return [[m // steps + (i < m % steps) for i in range(steps)] for m in masked]
    return [_curve_plan(m, min(steps, m), schedule, shift) + [0] * (steps - min(steps, m)) for m in masked]


def _curve_plan(masked: int, steps: int, schedule: str, shift: float) -> list[int]:
    """The plan of one row, `steps` ≤ `masked` long."""
    # float32 throughout: the floors are taken of float32 products upstream, and an ulp moves a token.
    sigma = _CURVES[schedule](torch.linspace(0, 1, steps + 1, dtype=torch.float32), shift)
    if not bool(sigma.isfinite().all()):
        raise ValueError(f"shift must be a number that float32 can work with, got {shift}")
    reached = (sigma * torch.tensor(masked)).to(torch.int64)
    counts = (reached[1:] - reached[:-1]).clamp(min=1).tolist()
    surplus, i = sum(counts) - masked, 0
    # In float32 σ(1) may fall an ulp short of 1, and a token short of m. Upstream stops there with an assertion.
    if surplus < 0:
        counts[-1] -= surplus
    while surplus > 0:
        if counts[i % steps] > 1:
            counts[i % steps] -= 1
            surplus -= 1
        i += 1
    return counts[::-1]
