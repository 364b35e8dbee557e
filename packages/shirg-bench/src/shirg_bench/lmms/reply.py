"""A batch of questions answered by a pipeline's own functions, with what each answer cost.

`LavidaPipeline` takes at most one image per question; tasks bring several. With one or none, the answers are the
pipeline's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from PIL import Image

from shirg_bench.lmms.sampling import Sampling
from shirg_core.clock import Clock
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.prompt.tokenizer import stop_ids


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


@dataclass(frozen=True)
class Reply:
    """An answer and what it cost. Times are those of the batch it was part of.

    Attributes:
        text: up to the end of the answer or a stop.
        input_tokens: entries of the prefix, prompt and images.
        output_tokens: sampled tokens before the end of text.
        visual_tokens: entries of the prefix that stand for images, newlines and summaries included.
        kv_bytes: bytes of the prefix cache that this row takes, padding included; 0 without cache.
        nfe: denoising steps.
        batch_size: rows of the batch.
        latency_ms: from images and question to text.
        embed_ms: views, tower, projector and selection.
        prefill_ms: the prefix through the language model; 0 without cache.
        step_ms: mean over the steps.
    """

    text: str
    input_tokens: int
    output_tokens: int
    visual_tokens: int
    kv_bytes: int
    nfe: int
    batch_size: int
    latency_ms: float
    embed_ms: float
    prefill_ms: float
    step_ms: float


@torch.no_grad()
def answer(pipe: LavidaPipeline, questions: Sequence[Question], sampling: Sampling, *, seed: int = 0) -> list[Reply]:
    """Answer questions as one batch.

    Args:
        pipe: the model and how it sees images.
        questions: at least one.
        sampling: how.
        seed: of what the sampler draws.

    Raises:
        ValueError: a question without text, or too long a prompt.
    """
    clock, whole = (Clock(pipe.device, synchronise=True) for _ in range(2))
    prefix = pipe.embed(
        [question.text for question in questions],
        [question.images for question in questions],
        words=[question.words for question in questions],
    )
    embed_ms = clock.lap()
    result = pipe.model.generate(
        prefix,
        answer_length=sampling.max_new_tokens,
        timings=True,
        generator=torch.Generator(pipe.device).manual_seed(seed),
        **dict(sampling.options),
    )
    texts = [sampling.cut(pipe.text(ids)) for ids in result.ids]
    latency_ms = whole.lap()
    batch, length = prefix.shape[:2]
    entries = [length] * batch if prefix.mask is None else prefix.mask.sum(dim=1).tolist()
    stops = stop_ids(pipe.tokenizer, pipe.model.config.eos_token_id)
    return [
        Reply(
            text=text,
            input_tokens=entries[b],
            output_tokens=next((i for i, token in enumerate(ids) if token in stops), len(ids)),
            visual_tokens=prefix.visual_tokens[b],
            kv_bytes=result.kv_bytes // batch,
            nfe=result.nfe,
            batch_size=batch,
            latency_ms=round(latency_ms, 3),
            embed_ms=round(embed_ms, 3),
            prefill_ms=round(result.prefill_ms, 3),
            step_ms=round(fmean(result.step_ms), 3) if result.step_ms else 0.0,
        )
        for b, (text, ids) in enumerate(zip(texts, result.ids.tolist(), strict=True))
    ]
