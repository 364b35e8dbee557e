"""What only eager code may do: read values on a CPU, where nothing waits, and compute without autograd."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def can_ask(x: Tensor) -> bool:
    """Whether values of `x` can be read at no cost: it lies in main memory, and no compiler or exporter watches."""
    return x.device.type == "cpu" and type(x) is Tensor and not torch.compiler.is_compiling()


def without_gradients() -> AbstractContextManager[object]:
    """As `torch.no_grad()`; where nothing compiles, the inference mode, in which every operation costs less.

    Autograd refuses what was made in that mode: whatever leaves the context goes through `usable`. Inside of a
    `torch.func` transform, whose tensors cannot enter it, it stays off.
    """
    if torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None:
        return torch.no_grad()
    return torch.inference_mode()


def usable(x: Tensor) -> Tensor:
    """`x`, or a copy of it that autograd accepts."""
    if torch.compiler.is_compiling() or torch.is_inference_mode_enabled() or not x.is_inference():
        return x
    return x.clone()
