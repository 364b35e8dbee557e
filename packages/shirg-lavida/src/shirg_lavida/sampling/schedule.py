"""How many tokens each step of a block settles, exactly as the released samplers plan it.

For m masked tokens, n steps and a curve σ: [0, 1] → [0, 1],

    c_i = max(1, ⌊σ((i + 1)/n) m⌋ − ⌊σ(i/n) m⌋),   i = 0 … n − 1

then the surplus Σc − m is taken back one token at a time, round robin from i = 0, from steps that settle more than
one, and the plan is **reversed**: a curve that rises late therefore settles many tokens *early*. Curves:

    linear σ(t) = t     cosine σ(t) = 1 − (1 + cos πt)/2     shift σ(t) = s t / (1 + (s − 1) t)
    logit_normal σ(t) = Φ(log(t / (1 − t)))

With `schedule=None` there is no curve: every step settles ⌊m / n⌋ tokens and the first m mod n steps one more. That
differs from "linear", whose floors put the larger steps elsewhere.

`timesteps` is Dream's own: t runs from 1 to ε in N steps, and step i settles ⌊(1 − t_{i+1} / t_i) · (tokens that are
still masked)⌋, the last one all that are left. A step ratio below 1 leaves out late steps and thins out none, so the
last one then settles many at once.

An answer is cut into blocks first; `plan_block` is one block's plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from shirg_core.checks import check_choice, integer, real

_CURVES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "linear": lambda t, _: t,
    "cosine": lambda t, _: 1 - 0.5 * (1 + torch.cos(math.pi * t)),
    "shift": lambda t, s: s * t / (1 + (s - 1) * t),
    "logit_normal": lambda t, _: 0.5 * (1 + torch.erf(torch.log(t / (1 - t)) / math.sqrt(2))),
}
PLANNED = (None, *_CURVES)
"""Schedules that a plan is made for ahead: all but `timesteps`."""
EPSILON = 1e-3
"""Dream's ε."""
RELEASED_BLOCK_LENGTH = 128
"""LLaDA's default block; shorter answers are one block."""


class BlockPlan(NamedTuple):
    """What one block does.

    Attributes:
        window: `(start, stop)` of the answer in which masked tokens are eligible.
        quotas: `[n, B]` int64, tokens to settle per step and row; under `timesteps` `[n, 1]` float32, the share of
            those that are still masked.
    """

    window: tuple[int, int]
    quotas: Tensor

    def quota(self, step: int, ids: Tensor, mask_id: int) -> Tensor:
        """`[B]` int64, the tokens that a step settles in each row of `ids [B, L]`."""
        quota = self.quotas[step]
        if quota.is_floating_point():
            quota = (ids[:, slice(*self.window)] == mask_id).sum(dim=1) * quota
        return quota.to(torch.int64)


def block_size(answer_length: int, block_length: int | None) -> int:
    """The block length, at most the answer's; None means LLaDA's default. The last block may be shorter.

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
        schedule: one of `PLANNED`.
        shift: s of "shift", > 0. Below 1 more tokens are settled early, above 1 late.

    Returns:
        One list of `steps` counts per row; a row's counts sum to its m.

    Raises:
        ValueError: no steps, an unknown schedule, or a shift that is not a positive number or is beyond float32.
    """
    if steps < 1:
        raise ValueError(f"a block needs at least one step, got {steps}")
    check_choice("schedule", schedule, PLANNED)
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


def timestep_shares(total: int, steps: int) -> Tensor:
    """`[steps]` float32, the share of the masked tokens that each of the first `steps` of N = `total` steps settles."""
    t = torch.linspace(1, EPSILON, total + 1, dtype=torch.float32)
    shares = (1 - t[1:] / t[:-1])[:steps]
    shares[-1] = 1
    return shares


def plan_block(
    ids: Tensor,
    start: int,
    stop: int,
    mask_id: int,
    steps: int,
    schedule: str | None,
    shift: float,
    total: int | None = None,
) -> BlockPlan:
    """The plan of the block `[start, stop)` of `ids [B, L]`. Reads the ids, which synchronises the device.

    Args:
        ids: `[B, L]`.
        start: first token of the block.
        stop: behind its last token.
        mask_id: the mask.
        steps: see `transfer_plan`.
        schedule: see the module.
        shift: see `transfer_plan`.
        total: N of `timesteps`; None = `steps`.
    """
    masked = (ids == mask_id).cpu()
    # A mask predicted in an earlier block is still a mask, and eligible.
    window = (0 if bool(masked[:, :start].any()) else start, stop)
    if schedule == "timesteps":
        return BlockPlan(window, timestep_shares(steps if total is None else total, steps)[:, None].to(ids.device))
    rows = transfer_plan(masked[:, start:stop].sum(dim=1).tolist(), steps, schedule=schedule, shift=shift)
    quotas = torch.tensor(rows, dtype=torch.int64).T
    return BlockPlan(window, quotas[quotas.any(dim=1)].to(ids.device))
