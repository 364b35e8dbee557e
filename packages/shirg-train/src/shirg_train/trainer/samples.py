"""From samples to a step's micro-batches, the same whatever the number of ranks.

A step takes B samples. Rank r of R takes every R-th, so its k-th sample is row k·R + r of the step. Answers are
padded with end-of-text, which is a target like any other token, to one length for all rows of all ranks (only where one
rank's longest answer does not fit beside another's longest prefix, each rank pads to its own); masks and dropout are
drawn row by row from seeds that name step and row. So the loss of a step does not depend on R, nor on the size of
micro-batches, beyond rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from shirg_train.data.samples import TrainingSample
from shirg_train.noise import Noise, forward_process
from shirg_train.seeds import derive, generator
from shirg_train.trainer.config import LossConfig
from shirg_train.trainer.distributed import World


@dataclass(frozen=True)
class MicroBatch:
    """What one forward pass takes. B rows, L answer tokens.

    Attributes:
        prompts: B tensors `[M_b]`.
        questions: B tensors `[W_b]`, what selectors see of them.
        images: of all rows, in order.
        answer_ids: `[B, L]` int64.
        noise: what is hidden.
        keys: `[B]` int64, what each row's dropout is drawn from; None where nothing is dropped.
    """

    prompts: list[Tensor]
    questions: list[Tensor]
    images: list[Image.Image]
    answer_ids: Tensor
    noise: Noise
    keys: Tensor | None = None


def step_batches(
    samples: Sequence[TrainingSample],
    micro: int,
    *,
    room: int,
    loss: LossConfig,
    eos_id: int,
    seed: int,
    step: int,
    world: World,
) -> list[MicroBatch]:
    """The micro-batches of this rank's share of a step.

    `room` is what the context holds beside the longest prefix of them, no less than the longest answer.
    """
    extra = derive(seed, "padding", step) % (2 * loss.extra_padding) - loss.extra_padding if loss.extra_padding else 0
    own = max(len(sample.answer_ids) for sample in samples)
    longest, room = world.max(own), -world.max(-room)
    length = min(longest + max(extra, 0), room) if longest <= room else own
    answers = pad_answers([sample.answer_ids for sample in samples], length, eos_id)
    every = torch.ones(1, length, dtype=torch.bool)
    rows = [k * world.size + world.rank for k in range(len(samples))]
    draws = [
        forward_process(every, epsilon=loss.epsilon, generator=generator(seed, "noise", step, row)) for row in rows
    ]
    keys = torch.tensor([derive(seed, "dropout", step, row) for row in rows])
    return [
        MicroBatch(
            [sample.prompt_ids for sample in samples[at : at + micro]],
            [sample.question_ids for sample in samples[at : at + micro]],
            [image for sample in samples[at : at + micro] for image in sample.images],
            answers[at : at + micro].to(world.device),
            stack_noise(draws[at : at + micro], world.device),
            keys[at : at + micro].to(world.device),
        )
        for at in range(0, len(samples), micro)
    ]


def pad_answers(answers: Sequence[Tensor], length: int, eos_id: int) -> Tensor:
    """`[B, length]` int64, padded on the right with end-of-text."""
    return torch.stack([F.pad(answer, (0, length - len(answer)), value=eos_id) for answer in answers])


def stack_noise(draws: Sequence[Noise], device: torch.device) -> Noise:
    """Draws of single rows as one batch on `device`."""
    parts = ([draw.masked for draw in draws], [draw.probability for draw in draws], [draw.answer for draw in draws])
    return Noise(*(torch.cat(part).to(device) for part in parts))
