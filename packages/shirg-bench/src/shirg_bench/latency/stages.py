"""One answer through the pipeline's own stages, timed by a clock that other programs on the machine disturb least."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from shirg_bench.latency.subject import Subject
from shirg_bench.memory import peak_workspace_bytes
from shirg_core.clock import Clock
from shirg_lavida.model import LavidaModel
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.prompt.prefix import Prefix, PrefixLike
from shirg_lavida.sampling.answer import Answer
from shirg_lavida.vision.visual_prefix import encode


@torch.no_grad()
def embed(subject: Subject, pipe: LavidaPipeline) -> tuple[Prefix, Mapping[str, float]]:
    """The subject's page and question as a prefix `[1, P, d]`, and milliseconds by stage.

    Stages are `embed`, all of it (views, tower, projector, selection, newlines), and of that the `tower` and the
    selector, `select`, 0 without one.
    """
    clock = Clock(subject.device, work=True)
    with clock.stage("embed"):
        prefix = pipe.embed([subject.question], [[subject.page]], clock=clock)
    return prefix, {"select": 0.0, **clock.timings_ms}


def answer(model: LavidaModel, prefix: PrefixLike, **options: Any) -> Answer:
    """An answer after `prefix [1, P, d]`, all of it timed as the stage `answer`; options: `LavidaModel.generate`."""
    clock = Clock(prefix.device, work=True)
    with clock.stage("answer"):
        (one,) = model.generate(prefix, clock=clock, **options)
    return replace(one, timings_ms={**one.timings_ms, "answer": clock.timings_ms["answer"]})


def stage_peaks(subject: Subject, pipe: LavidaPipeline) -> tuple[int, int]:
    """Bytes that the tower with its projector, and then the choice of tokens with the prompt, allocate at most."""
    page, question = [subject.page], [subject.question]
    tower = peak_workspace_bytes(lambda: encode(pipe.model, page, pipe.vision), subject.device)
    encoded = encode(pipe.model, page, pipe.vision)
    return tower, peak_workspace_bytes(lambda: pipe.embed(question, [page], encoded=encoded), subject.device)
