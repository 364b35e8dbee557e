"""The sampler's arguments turned into a plan: the ids to start from, a block's steps, the window they work in."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from shirg_core.numbers import integer, real
from shirg_lavida.sampling.remasking import REMASKING
from shirg_lavida.sampling.schedule import transfer_plan
from shirg_lavida.sampling.step import StepRule

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


def check_rule(rule: StepRule) -> None:
    """Reject a rule that cannot be followed.

    Raises:
        ValueError: unknown remasking, a temperature that is negative or not finite, a penalty that is negative or not
            a number, or a threshold that is no probability of the chosen token.
    """
    if rule.remasking not in REMASKING:
        raise ValueError(f"remasking must be one of {REMASKING}, got {rule.remasking!r}")
    real("temperature", rule.temperature, low=0)
    real("eos_penalty", rule.eos_penalty, low=0, infinite=True)
    if rule.confidence_threshold is not None:
        real("confidence_threshold", rule.confidence_threshold, above=0, high=1)
        if rule.remasking != "low_confidence":
            raise ValueError(f'confidence_threshold needs remasking="low_confidence", got {rule.remasking!r}')


def check_ids(name: str, ids: Tensor, vocab_size: int) -> Tensor:
    """`ids` as int64, all of which can be embedded. Synchronises the device: once per call, never per step.

    Raises:
        ValueError: not integers, or an id outside the vocabulary.
    """
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise ValueError(f"{name} must be integers, got {ids.dtype}")
    ids = ids.to(torch.int64)
    wrong = ids[(ids < 0) | (ids >= vocab_size)]
    if len(wrong):
        raise ValueError(f"{name} must be in [0, {vocab_size}), got {int(wrong[0])}")
    return ids


def start_ids(
    shape: tuple[int, int], draft_ids: Tensor | None, *, mask_id: int, vocab_size: int, device: torch.device
) -> Tensor:
    """`shape = [B, L]` int64 of masks, begun with `draft_ids` `[B or 1, ≤ L]` if given.

    Raises:
        ValueError: a draft that is no tensor, of another batch size or dtype, longer than the answer, or with ids
            outside the vocabulary.
    """
    batch, answer_length = shape
    ids = torch.full((batch, answer_length), mask_id, dtype=torch.int64, device=device)
    if draft_ids is None:
        return ids
    if not isinstance(draft_ids, Tensor):
        raise ValueError(f"draft_ids must be a tensor, got a {type(draft_ids).__name__}")
    if draft_ids.dim() != 2 or draft_ids.dtype != torch.int64 or draft_ids.shape[0] not in {1, batch}:
        raise ValueError(
            f"draft_ids must be int64 [{batch} or 1, ≤ {answer_length}], got {draft_ids.dtype} {list(draft_ids.shape)}"
        )
    if draft_ids.shape[1] > answer_length:
        raise ValueError(f"a draft of {draft_ids.shape[1]} tokens is longer than answer_length={answer_length}")
    check_ids("draft_ids", draft_ids, vocab_size)
    ids[:, : draft_ids.shape[1]] = draft_ids.to(device)
    return ids


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
