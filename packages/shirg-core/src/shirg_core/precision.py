"""Scores and choices are computed in float32, also where the caller trains or runs under autocast."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def without_autocast(compute: Callable[Concatenate[Tensor, P], R]) -> Callable[Concatenate[Tensor, P], R]:
    """Decorate a function whose matrix products must stay in float32.

    Autocast would run them in 16 bits whatever the dtype of their operands: an error of 2⁻⁸ in a score that is promised
    on a grid of 2⁻¹⁶, so that one image got different tokens in training and in use.
    """

    @wraps(compute)
    def in_full(first: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with torch.autocast(first.device.type, enabled=False):
            return compute(first, *args, **kwargs)

    return in_full
