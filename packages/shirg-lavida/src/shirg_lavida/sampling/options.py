"""The sampler's arguments by name, for signatures that hand them on; `shirg_lavida.sampling.sampler` explains them.

What decides is whose they are: the model knows its mask and end of text, so neither is among them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Required, TypedDict

import torch
from torch import Tensor

from shirg_lavida.pruning.protocol import Pruning
from shirg_lavida.sampling.step import Step


class SamplingOptions(TypedDict, total=False):
    """How to sample."""

    block_length: int | None
    lookahead: bool
    steps: int | None
    step_ratio: float | None
    schedule: str | None
    shift: float
    remasking: str
    temperature: float
    attention: str
    cache: bool
    stop_at_eos: bool
    eos_penalty: float
    allow_mask_prediction: bool
    draft_ids: Tensor | None
    confidence_threshold: float | None
    generator: torch.Generator | None
    pruning: Pruning | None
    on_step: Callable[[int, Tensor], None] | None
    verify_cache: bool
    wrap_step: Callable[[Step], Step] | None


class AnswerOptions(SamplingOptions, total=False):
    """How to sample, how much, and how closely to watch the clock."""

    answer_length: Required[int]
    timings: bool
