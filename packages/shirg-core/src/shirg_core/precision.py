"""Scores and choices are computed in float32, also where the caller trains or runs under autocast.

They do not depend on torch's default dtype either: whatever makes a tensor says its dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        # Entering the context costs more than a small product.
        if not torch.is_autocast_enabled(first.device.type):
            return compute(first, *args, **kwargs)
        with torch.autocast(first.device.type, enabled=False):
            return compute(first, *args, **kwargs)

    return in_full


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Modules that are built inside have weights of this dtype. Not for use in several threads at once."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
