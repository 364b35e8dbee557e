"""What depends on geometry alone: built once per device, constants of a compiled graph."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

P = ParamSpec("P")
R = TypeVar("R")

_HELD_FOR_GRAPHS: dict[int, object] = {}


def constant(build: Callable[P, R]) -> Callable[P, R]:
    """Cache a pure function of hashable static arguments (a layout, a device, integers).

    Building such tensors copies from the host, which synchronises a CUDA device and breaks graph capture; so it happens
    on the first call only. `torch.compile` does not trace the function but takes its result as a constant, guarded by
    the arguments. The results are shared: callers must not write to them. What is returned while a CUDA graph is being
    captured is kept for good: the graph holds addresses, and would read freed memory once the cache had dropped it.
    """

    # The cache outlives the mode it was first filled in: inference-mode tensors cannot be saved for backward, and what
    # is built while `torch.export` or a `FakeTensorMode` watches has no values.
    @lru_cache(maxsize=256, typed=True)
    def cached(*args: P.args, **kwargs: P.kwargs) -> R:
        watched = torch._C._len_torch_dispatch_stack() > 0
        # Built on the CPU whatever the default device, then moved by `build` itself: parts must not end up apart.
        with (
            torch.inference_mode(False),
            _disable_current_modes() if watched else nullcontext(),
            torch.device("cpu"),
        ):
            return build(*args, **kwargs)

    def held(*args: P.args, **kwargs: P.kwargs) -> R:
        result = cached(*args, **kwargs)  # type: ignore[arg-type]
        # Asked in this order: asking about a stream starts CUDA, which a forked data loader must not do.
        if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():
            _HELD_FOR_GRAPHS.setdefault(id(result), result)
        return result

    # What `torch.compiler.assume_constant_result` does, without importing the compiler (seconds) for those who never
    # compile; the tests of compilation fail should the mark ever lose its meaning.
    held._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return held


@constant
def number(value: float, device: torch.device) -> Tensor:
    """A float32 tensor without dimensions. PyTorch makes one of a Python number at every use, at twice the cost."""
    return torch.tensor(value, dtype=torch.float32).to(device)


@constant
def column(numbers: tuple[float, ...], device: torch.device) -> Tensor:
    """`[C, 1, 1]` float32, a number for each of C components `[C, B, N]`."""
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1).to(device)
