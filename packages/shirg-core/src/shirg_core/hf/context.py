"""Pruning inside calls that other code makes: a pipeline, an evaluation harness."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from shirg_core.hf.features import unwrapped
from shirg_core.hf.prune import Positions, Pruned, prune
from shirg_core.hf.question import Question
from shirg_core.scores.heads import PENULTIMATE
from shirg_core.selection import Selector

IMAGES = ("pixel_values", "pixel_values_videos", "pixel_values_images", "image_patches")


@contextmanager
def pruning(
    model: Any,
    selector: Selector,
    *,
    positions: Positions = "original",
    question: Question | Callable[[], Question] = "auto",
    tower_attention: bool = False,
    attention_layer: int = PENULTIMATE,
    on_pruned: Callable[[Pruned], None] | None = None,
) -> Iterator[None]:
    """Prune the images of every `model(…)` and `model.generate(…)` inside the `with`; the model is restored afterwards.

    `generate` gives back sequences that begin with the whole prompt, as callers cut it off by its length, and lengths
    (`max_length`, `min_length`) count it whole. Calls without images are left alone. Not for several threads at once.
    Arguments are those of `prune`; `question` may also be a function that every call asks for it, and `on_pruned` is
    called with the pruned inputs of every call, to log K or to draw.

    Raises:
        ValueError: as `prune`, in the call.
    """

    def pruned(given: dict[str, Any]) -> Pruned:
        inputs = prune(
            model,
            given,
            selector,
            positions=positions,
            question=question() if callable(question) else question,
            tower_attention=tower_attention,
            attention_layer=attention_layer,
        )
        if on_pruned is not None:
            on_pruned(inputs)
        return inputs

    with replaced(model, "forward", _forward(model.forward, unwrapped(model).forward, pruned)):
        if not hasattr(model, "generate"):
            yield
            return
        with replaced(model, "generate", _generate(model, model.generate, pruned)):
            yield


def _forward(
    own: Callable[..., Any], inner: Callable[..., Any], pruned: Callable[[dict[str, Any]], Pruned]
) -> Callable[..., Any]:
    names = list(inspect.signature(inner).parameters)

    @wraps(own)
    def forward(*args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        return own(**pruned(given)) if _has_images(given) else own(*args, **kwargs)

    return forward


def _generate(model: Any, own: Callable[..., Any], pruned: Callable[[dict[str, Any]], Pruned]) -> Callable[..., Any]:
    names = list(inspect.signature(own).parameters)

    @wraps(own)
    def generate(*args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        if not _has_images(given):
            return own(*args, **kwargs)
        prompt: Any = given.pop("inputs", None)
        if prompt is None:
            prompt = given.get("input_ids")
        inputs = dict(pruned({**given, "input_ids": prompt}))
        _check_cache(model, inputs)
        length = inputs["input_ids"].shape[1]
        for limit in ("max_length", "min_length"):
            if inputs.get(limit) is not None:
                inputs[limit] -= prompt.shape[1] - length
        answer = own(**inputs)
        if model.config.is_encoder_decoder:
            return answer
        sequences = answer if isinstance(answer, Tensor) else answer.sequences
        whole = prompt.repeat_interleave(len(sequences) // len(prompt), dim=0).to(sequences.device)
        sequences = torch.cat([whole, sequences[:, length:]], dim=1)
        if isinstance(answer, Tensor):
            return sequences
        answer.sequences = sequences
        return answer

    return generate


def _check_cache(model: Any, inputs: dict[str, Any]) -> None:
    """`generate` drops a mask without padding; without a cache, gaps in positions are then taken for borders."""
    at = inputs.get("position_ids")
    if at is None or at.dim() != 2 or inputs.get("use_cache", model.generation_config.use_cache) is not False:
        return
    if bool(inputs["attention_mask"].all()) and bool((at.diff(dim=1) > 1).any()):
        raise ValueError("generate(use_cache=False) would read gaps in positions as borders: give positions='packed'")


def _has_images(given: dict[str, Any]) -> bool:
    return any(given.get(name) is not None for name in IMAGES)


@contextmanager
def replaced(model: Any, name: str, value: Callable[..., Any]) -> Iterator[None]:
    """Set an attribute on this instance inside the `with`; its class and other instances stay unchanged."""
    had, before = name in vars(model), vars(model).get(name)
    setattr(model, name, value)
    try:
        yield
    finally:
        if had:
            setattr(model, name, before)
        else:
            delattr(model, name)
