"""Small arithmetic that every kernel shares, and how kernels are launched."""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

import contextlib

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import knobs

INTERPRET = tl.constexpr(bool(knobs.runtime.interpret))
MOST_IMAGES = 65535
TINY = tl.constexpr(float(torch.finfo(torch.float32).tiny))


@triton.jit
def dot(a, b, acc, UPCAST: tl.constexpr):
    """`acc + a @ b` in float32: half-precision operands on the matrix units, float32 ones without TF32.

    The interpreter computes bfloat16 on its raw bits, so there the operands go to float32 first.
    """
    # One return: after an early one the compiler still types the rest, and float64 operands would not fit `acc`.
    if UPCAST or INTERPRET:
        acc = tl.dot(a.to(tl.float32), b.to(tl.float32), acc, input_precision="ieee")
    else:
        acc = tl.dot(a, b, acc)
    return acc


@triton.jit
def round_half_even(x):
    """Nearest integer of `x ≥ 0`, ties to even, as `torch.round` does: above 2²³ every float32 is an integer."""
    return tl.where(x < 8388608.0, (x + 8388608.0) - 8388608.0, x)


@triton.jit
def load_rows(x, row, mask, stride, start, D: tl.constexpr, BLOCK_D: tl.constexpr):
    """`[rows, BLOCK_D]` float32: channels from `start` on of the given rows; 0 where masked or past D."""
    d = start + tl.arange(0, BLOCK_D)
    tile = tl.load(x + row[:, None] * stride + d[None, :], mask=mask[:, None] & (d < D)[None, :], other=0.0)
    return tile.to(tl.float32)


def check_device(x: Tensor) -> None:
    """Raise where these kernels cannot run on the device of `x`.

    Raises:
        RuntimeError: not a CUDA (or ROCm) tensor, and Triton does not interpret.
    """
    # Triton's own functions and these kernels read the switch when they are imported; both must have seen it.
    interpreted = all(not isinstance(f, triton.JITFunction) for f in (dot, tl.cdiv))
    if not x.is_cuda and not interpreted:
        raise RuntimeError(
            f"impl='triton' needs a CUDA tensor, got one on {x.device}; on a CPU it runs only in Triton's interpreter, "
            "for which TRITON_INTERPRET=1 must be set before triton is first imported"
        )


def check_batch(x: Tensor) -> None:
    """Raise where `x [B, …]` holds more images than a launch has room for: they are a grid's second dimension.

    Raises:
        ValueError: B is larger than that.
    """
    if len(x) > MOST_IMAGES:
        raise ValueError(f"impl='triton' takes at most {MOST_IMAGES} images in a call, got B={len(x)}")


def on_device(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Launch on the device of `x`: Triton launches on the current one."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


def is_aligned(*tensors: Tensor) -> bool:
    """Whether every row of `[B, N, D]` tensors starts where 16-byte loads may start, as far as Triton can tell.

    It learns that from the address and from both strides, the one between images too where there is one image only.
    """
    return all(t.data_ptr() % 16 == 0 and t.stride(0) % 16 == 0 and t.stride(1) % 16 == 0 for t in tensors)


def needs_upcast(*tensors: Tensor) -> bool:
    """Whether products of these tensors must be taken in float32: not all of one half-precision type."""
    kinds = {t.dtype for t in tensors}
    return len(kinds) > 1 or not kinds <= {torch.bfloat16, torch.float16}


def unit_stride(x: Tensor) -> Tensor:
    """`x` itself where its last dimension is dense and, in `[B, N, D]`, an image's offsets fit int32; else a copy."""
    far = x.dim() == 3 and x.shape[1] * x.stride(1) >= 2**31
    return x.contiguous() if x.stride(-1) != 1 or far else x


def power_of_two(n: int, most: int) -> int:
    """The smallest power of two ≥ n, at most `most`."""
    return min(most, int(triton.next_power_of_2(n)))
