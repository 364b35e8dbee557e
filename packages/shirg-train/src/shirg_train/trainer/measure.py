"""Validation over all ranks: the same masks and result whatever the number of ranks and the size of micro-batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from shirg_train.data.samples import TrainingSample
from shirg_train.keep_ratio import Policy, PolicyConfig, build_policy
from shirg_train.noise import Noise
from shirg_train.seeds import derive, generator
from shirg_train.trainer.config import AdapterRecipe
from shirg_train.trainer.distributed import World
from shirg_train.trainer.engine import Engine
from shirg_train.trainer.samples import MicroBatch, pad_answers


def validation_policy(policy: PolicyConfig, seed: int) -> Policy:
    """The policy as every validation of a run draws it."""
    return build_policy(policy, derive(seed, "validation-policy"))


@torch.no_grad()
def measure(
    engine: Engine,
    held_out: Sequence[TrainingSample],
    policy: Policy,
    *,
    recipe: AdapterRecipe,
    eos_id: int,
    world: World,
) -> float:
    """Validation NLL in nats per token under one policy.

    `held_out` are the samples that fit, the same on every rank.
    """
    micro, seed, device = recipe.batch.micro, recipe.seed, world.device
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    for first in range(0, len(held_out), micro * world.size):
        start = first + micro * world.rank
        batch = held_out_batch(held_out, start, micro, eos_id, device)
        times, length = recipe.validation.times, batch.answer_ids.shape[1]
        draws = torch.stack([_row_draws(seed, start + k, times, length) for k in range(micro)], dim=1)
        nll = engine.forward(batch, policy, draws=draws)
        sums += torch.stack([nll.total, nll.normaliser]).double()
    total, count = world.sum(sums).tolist()
    return float(total / count)


def _row_draws(seed: int, row: int, times: int, length: int) -> Tensor:
    """`[T, L]`; a row's draws are the same whatever it is batched with and padded to."""
    draws = (generator(seed, "validation", row, k) for k in range(times))
    return torch.stack([torch.rand(length, generator=draw, dtype=torch.float32) for draw in draws])


def held_out_batch(
    held_out: Sequence[TrainingSample], start: int, micro: int, eos_id: int, device: torch.device
) -> MicroBatch:
    """The held-out samples from `start` on; behind the last one come the first again, not scored.

    So all ranks make the same calls in the same order, without which ZeRO-3 waits forever. All batches have one length:
    an answer sees its padding, which must not depend on what it is batched with.
    """
    rows = [held_out[(start + k) % len(held_out)] for k in range(micro)]
    answers = [row.answer_ids for row in rows]
    ids = pad_answers(answers, max(len(sample.answer_ids) for sample in held_out) + 1, eos_id)
    # One end-of-text ends each answer; more of it would only dilute the measure.
    lengths = torch.tensor([len(a) + 1 if start + k < len(held_out) else 0 for k, a in enumerate(answers)])
    scored = (torch.arange(ids.shape[1]) < lengths[:, None]).to(device)
    noise = Noise(torch.zeros_like(scored), torch.ones(micro, dtype=torch.float32, device=device), scored)
    images = [image for row in rows for image in row.images]
    prompts, questions = [row.prompt_ids for row in rows], [row.question_ids for row in rows]
    return MicroBatch(prompts, questions, images, ids.to(device), noise)
