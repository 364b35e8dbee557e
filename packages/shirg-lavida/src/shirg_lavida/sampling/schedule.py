"""How many tokens each step of a block settles, exactly as the released sampler plans it.

For m masked tokens, n steps and a curve σ: [0, 1] → [0, 1],

    c_i = max(1, ⌊σ((i + 1)/n) m⌋ − ⌊σ(i/n) m⌋),   i = 0 … n − 1

then the surplus Σc − m is taken back one token at a time, round robin from i = 0, from steps that settle more than
one, and the plan is **reversed**: a curve that rises late therefore settles many tokens *early*. Curves:

    linear σ(t) = t     cosine σ(t) = 1 − (1 + cos πt)/2     shift σ(t) = s t / (1 + (s − 1) t)
    logit_normal σ(t) = Φ(log(t / (1 − t)))

With `schedule=None` there is no curve: every step settles ⌊m / n⌋ tokens and the first m mod n steps one more. That
differs from "linear", whose floors put the larger steps elsewhere.

An answer is cut into blocks first; `plan_block` is one block's plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from shirg_core.names import check_choice
from shirg_core.numbers import integer, real
from shirg_lavida.sampling.options import SCHEDULES

_CURVES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "linear": lambda t, _: t,
    "cosine": lambda t, _: 1 - 0.5 * (1 + torch.cos(math.pi * t)),
    "shift": lambda t, s: s * t / (1 + (s - 1) * t),
    "logit_normal": lambda t, _: 0.5 * (1 + torch.erf(torch.log(t / (1 - t)) / math.sqrt(2))),
}
RELEASED_BLOCK_LENGTH = 128
"""Upstream's default block; shorter answers are one block."""


class BlockPlan(NamedTuple):
    """What one block does.

    Attributes:
        window: `(start, stop)` of the answer in which masked tokens are eligible.
        quotas: `[n, B]` int64, tokens to settle per step and row.
    """

    window: tuple[int, int]
    quotas: Tensor


def block_size(answer_length: int, block_length: int | None) -> int:
    """The block length, at most the answer's; None means upstream's default. The last block may be shorter.

    Raises:
        ValueError: a length that is not an integer ≥ 1.
    """
    size = RELEASED_BLOCK_LENGTH if block_length is None else integer("block_length", block_length, low=1)
    return min(size, integer("answer_length", answer_length, low=1))


def steps_per_block(answer_length: int, size: int, steps: int | None, step_ratio: float | None) -> int:
    """min(size, ⌊(steps // blocks) · step_ratio⌋), at least 1; `steps=None` means one step per token.

    Under every schedule a block of `size` tokens leaves steps beyond `size` empty, so none are planned. A shorter last
    block takes its share of them.

    Raises:
        ValueError: steps that do not split into blocks, a ratio that is no positive number, or too few to do anything.
    """
    blocks = math.ceil(answer_length / size)
    total = blocks * size if steps is None else integer("steps", steps, low=1)
    if total % blocks:
        raise ValueError(f"steps={total} must be a positive multiple of the {blocks} blocks")
    # Bounded before it is floored: a large ratio may overflow to infinity.
    per_block = int(
        min(size, total // blocks * (1.0 if step_ratio is None else real("step_ratio", step_ratio, above=0)))
    )
    if per_block < 1:
        raise ValueError(f"step_ratio={step_ratio} leaves no step for a block of {total // blocks} steps")
    return per_block


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
    check_choice("schedule", schedule, SCHEDULES)
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


def plan_block(
    ids: Tensor, start: int, stop: int, mask_id: int, steps: int, schedule: str | None, shift: float
) -> BlockPlan:
    """The plan of the block `[start, stop)` of `ids [B, L]`. Reads the ids, which synchronises the device."""
    masked = (ids == mask_id).cpu()
    rows = transfer_plan(masked[:, start:stop].sum(dim=1).tolist(), steps, schedule=schedule, shift=shift)
    quotas = torch.tensor(rows, dtype=torch.int64).T
    quotas = quotas[quotas.any(dim=1)]
    # A mask predicted in an earlier block is still a mask, and eligible.
    first = 0 if bool(masked[:, :start].any()) else start
    return BlockPlan((first, stop), quotas.to(ids.device))
