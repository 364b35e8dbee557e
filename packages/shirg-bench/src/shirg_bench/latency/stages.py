"""One answer, its stages timed from outside: the model's own code runs, and nothing in it is changed.

The tower is timed by hooks, the selector and the prefill by thin wrappers, steps by the sampler's own callback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from shirg_bench.latency.subject import Subject
from shirg_core.clock import Now
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection, Selector
from shirg_lavida.language.cache import PrefixCache
from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.model import LavidaModel
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.prompt.prefix import Prefix, PrefixLike
from shirg_lavida.sampling.sampler import SampleResult, sample


class Embedded(NamedTuple):
    """A page and a question as a prefix.

    Attributes:
        prefix: `[1, P, d]`.
        embed_ms: all of it: views, tower, projector, selection, newlines.
        tower_ms: the tower's share.
        select_ms: the selector's share; 0 without one.
    """

    prefix: Prefix
    embed_ms: float
    tower_ms: float
    select_ms: float


class Answered(NamedTuple):
    """An answer.

    Attributes:
        result: what the sampler gave back.
        prefill_ms: 0 without cache.
        step_ms: per step.
        answer_ms: all of it.
    """

    result: SampleResult
    prefill_ms: float
    step_ms: tuple[float, ...]
    answer_ms: float


@torch.no_grad()
def embed(subject: Subject, pipe: LavidaPipeline, now: Now) -> Embedded:
    """Embed the subject's page and question as `pipe` does it."""
    tower_ms: list[float] = []
    selector = None if pipe.selector is None else _TimedSelector(pipe.selector, now, [])
    timed = replace(pipe, selector=selector)
    start = now()
    with _hooked(pipe.model.tower, now, tower_ms):
        prefix = timed.embed([subject.question], [[subject.page]])
    return Embedded(prefix, now() - start, sum(tower_ms), sum(selector.ms) if selector is not None else 0.0)


def answer(model: LavidaModel, prefix: PrefixLike, now: Now, **options: Any) -> Answered:
    """Sample an answer after `prefix [1, P, d]`; options: `shirg_lavida.sampling.sampler.sample`."""
    backbone = _TimedPrefill(model.backbone, now)
    ends: list[float] = []
    start = now()
    result = sample(
        cast("DiffusionBackbone", backbone),
        prefix,
        mask_id=model.config.mask_token_id,
        eos_id=model.config.eos_token_id,
        on_step=lambda _number, _ids: ends.append(now()),
        **options,
    )
    end = now()
    begins = [backbone.end or start, *ends[:-1]]
    steps = tuple(after - before for before, after in zip(begins, ends, strict=True))
    return Answered(result, backbone.ms, steps, end - start)


@dataclass(frozen=True)
class _TimedSelector:
    selector: Selector
    now: Now
    ms: list[float]

    def __call__(self, features: Tensor, layout: ViewLayout, **given: Any) -> Selection:
        start = self.now()
        selection = self.selector(features, layout, **given)
        self.ms.append(self.now() - start)
        return selection


class _TimedPrefill:
    """A backbone that notes how long its prefill took and when it ended; in everything else it is the one it wraps."""

    def __init__(self, backbone: DiffusionBackbone, now: Now) -> None:
        self._backbone, self._now = backbone, now
        self.ms, self.end = 0.0, 0.0

    def prefill(self, *args: Any, **options: Any) -> PrefixCache:
        start = self._now()
        cache = self._backbone.prefill(*args, **options)
        self.end = self._now()
        self.ms = self.end - start
        return cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)


@contextmanager
def _hooked(module: nn.Module, now: Now, ms: list[float]) -> Iterator[None]:
    begins: list[float] = []
    before = module.register_forward_pre_hook(lambda _module, _args: begins.append(now()))
    after = module.register_forward_hook(lambda _module, _args, _output: ms.append(now() - begins.pop()))
    try:
        yield
    finally:
        before.remove()
        after.remove()
