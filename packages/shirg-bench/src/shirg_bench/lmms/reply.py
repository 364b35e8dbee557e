"""A batch of a task's questions, answered by the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from lmms_eval.api.instance import GenerationResult  # type: ignore[import-untyped]
from PIL import Image

from shirg_bench.lmms.costs import costs_of
from shirg_bench.lmms.sampling import Sampling
from shirg_lavida.pipeline import LavidaPipeline


@dataclass(frozen=True)
class Question:
    """A question's text and its images in order, which may be none.

    `<image>` in the text is where an image stands only if there are as many as images, see
    `shirg_lavida.prompt.chat.split_at_images`: that is how lmms-eval's tasks write prompts that mix text and images.

    Attributes:
        text: all of it.
        images: in order.
        words: what selectors see of the text: no placeholder, and not what the task puts around every question.
    """

    text: str
    images: tuple[Image.Image, ...]
    words: str


def answer(
    pipe: LavidaPipeline, questions: Sequence[Question], sampling: Sampling, *, seed: int = 0
) -> list[GenerationResult]:
    """Answer questions as one batch; the costs of each are `AnswerCosts`.

    What `sampling` leaves open is as released, whatever the checkpoint recommends.

    Raises:
        ValueError: a question without text, or too long a prompt.
    """
    answers = pipe(
        [question.images for question in questions],
        [question.text for question in questions],
        words=[question.words for question in questions],
        max_new_tokens=sampling.max_new_tokens,
        timings=True,
        generator=torch.Generator(pipe.device).manual_seed(seed),
        **(pipe.model.config.sampling | dict(sampling.options)),
    )
    return [GenerationResult(sampling.cut(one.text), costs_of(one, len(answers))) for one in answers]
