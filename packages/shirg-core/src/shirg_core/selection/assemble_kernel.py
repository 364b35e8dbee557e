"""Gather and summary in one launch, and their backward in one.

    kept_k = v_{indices k}            z = Σ_i share_i · v_i
    share_i = w_i / Σ_dropped w       (1 / #dropped where that sum is 0, or without weights);  0 for kept and padding
    ∂v_i = ∂kept_{slot i} if kept, else share_i · ∂z

The backward writes every row once, from `slot` (the place of a token among the kept ones, −1 when dropped): a gather
too, so no atomics and no zeroing.

| symbol | variable   | shape       |
|--------|------------|-------------|
| v      | features   | `[B, N, D]` |
| w      | weights    | `[B, N]`    |
| z      | (returned) | `[B, 1, D]` |
"""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from shirg_core.kernels.geometry import VALID, has
from shirg_core.kernels.numerics import load_rows, power_of_two, unit_stride

ROWS = 8
SUMMARY_CHANNELS = 16
SUMMARY_TOKENS = 512


class Choice(NamedTuple):
    """What was chosen: `indices [B, K]`, `slot [B, N]`, `dropped_weight [B]`, token words, and the dropped count."""

    indices: Tensor
    slot: Tensor
    dropped_weight: Tensor
    words: Tensor
    n_dropped: int


def gather_and_summarise(
    features: Tensor, choice: Choice, weights: Tensor | None, *, summary: bool
) -> tuple[Tensor, Tensor | None]:
    """Kept tokens `[B, K, D]` and the summary `[B, 1, D]` (None when not wanted or nothing was dropped)."""
    kept, token = _Assemble.apply(features, choice, weights, summary and choice.n_dropped > 0)
    return kept, token


class _Assemble(Function):
    """Both outputs as one differentiable step; scores and weights are constants of it."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, choice: Choice, weights: Tensor | None, summary: bool
    ) -> tuple[Tensor, Tensor | None]:
        (batch, n, width), k = features.shape, choice.indices.shape[1]
        dense, weights = unit_stride(features.detach()), None if weights is None else unit_stride(weights)
        kept = torch.empty(batch, k, width, dtype=features.dtype, device=features.device)
        token = torch.empty(batch, 1, width, dtype=features.dtype, device=features.device) if summary else None
        gather_programs = triton.cdiv(k, ROWS)
        summary_programs = triton.cdiv(width, SUMMARY_CHANNELS) if summary else 0
        gather_kernel[(gather_programs + summary_programs, batch)](
            dense, choice.indices, choice.slot, choice.words, weights, choice.dropped_weight, kept, token,
            n, k, choice.n_dropped, dense.stride(0), dense.stride(1), 0 if weights is None else weights.stride(0),
            gather_programs, D=width, ROWS=ROWS, BLOCK_D=power_of_two(width, 256),
            SUMMARY_D=SUMMARY_CHANNELS, SUMMARY_N=power_of_two(n, SUMMARY_TOKENS),
            num_warps=8, num_stages=2, enable_fp_fusion=False,
        )  # fmt: skip
        ctx.save_for_backward(choice.slot, choice.dropped_weight, choice.words, weights)
        ctx.n_dropped = choice.n_dropped
        return kept, token

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_kept: Tensor, grad_token: Tensor | None) -> tuple[Tensor, None, None, None]:
        slot, dropped_weight, words, weights = ctx.saved_tensors
        (batch, k, width), n = grad_kept.shape, slot.shape[1]
        grad = torch.empty(batch, n, width, dtype=grad_kept.dtype, device=grad_kept.device)
        scatter_kernel[(triton.cdiv(n, ROWS), batch)](
            grad_kept.contiguous(), None if grad_token is None else grad_token.contiguous(),
            slot, words, weights, dropped_weight, grad,
            n, k, ctx.n_dropped, 0 if weights is None else weights.stride(0),
            D=width, ROWS=ROWS, BLOCK_D=power_of_two(width, 256),
            num_warps=4, num_stages=1, enable_fp_fusion=False,
        )  # fmt: skip
        return grad, None, None, None


# A value that differs between calls on one layout must not compile anew: a graph's capture could not wait for it.
@triton.jit(do_not_specialize=("k", "n_dropped", "gather_programs"))
def gather_kernel(
    x, indices, slot, words, weights, dropped_weight, kept, token,
    n, k, n_dropped, stride_b, stride_n, weights_stride, gather_programs,
    D: tl.constexpr, ROWS: tl.constexpr, BLOCK_D: tl.constexpr, SUMMARY_D: tl.constexpr, SUMMARY_N: tl.constexpr,
):  # fmt: skip
    """Program (rows or channels, image): copy `ROWS` kept tokens, or sum `SUMMARY_D` channels of the dropped ones."""
    pid, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    image = x + b * stride_b
    if pid < gather_programs:
        place = pid * ROWS + tl.arange(0, ROWS)
        i = tl.load(indices + b * k + place, mask=place < k, other=0)
        for start in range(0, D, BLOCK_D):
            d = start + tl.arange(0, BLOCK_D)
            inside = (place < k)[:, None] & (d < D)[None, :]
            tile = tl.load(image + i[:, None] * stride_n + d[None, :], mask=inside)
            tl.store(kept + (b * k + place)[:, None] * D + d[None, :], tile, mask=inside)
    else:
        if token is not None:
            first = (pid - gather_programs) * SUMMARY_D
            total = tl.zeros([SUMMARY_N, SUMMARY_D], tl.float32)
            for start in range(0, n, SUMMARY_N):
                i = start + tl.arange(0, SUMMARY_N)
                # Loaded whether dropped or not, and so without waiting for `slot`; what padding holds may be NaN.
                tile = load_rows(image, i, i < n, stride_n, first, D, SUMMARY_D)
                share = _shares(slot, words, weights, dropped_weight, b, i, n, n_dropped, weights_stride)[:, None]
                total = tl.where(share != 0.0, tl.fma(share + tl.zeros_like(tile), tile, total), total)
            d = first + tl.arange(0, SUMMARY_D)
            tl.store(token + b * D + d, tl.sum(total, 0).to(token.dtype.element_ty), mask=d < D)


@triton.jit(do_not_specialize=("k", "n_dropped"))
def scatter_kernel(
    grad_kept, grad_token, slot, words, weights, dropped_weight, grad,
    n, k, n_dropped, weights_stride, D: tl.constexpr, ROWS: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Program (rows, image): the gradient of `ROWS` tokens."""
    b = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    place = tl.load(slot + b * n + i, mask=i < n, other=-1)
    share = _shares(slot, words, weights, dropped_weight, b, i, n, n_dropped, weights_stride)
    for start in range(0, D, BLOCK_D):
        d = start + tl.arange(0, BLOCK_D)
        kept, inside = (place >= 0)[:, None], (i < n)[:, None] & (d < D)[None, :]
        # Copied in its own dtype: a float64 gradient keeps its digits.
        value = tl.load(grad_kept + b * k * D + place[:, None] * D + d[None, :], mask=kept & inside, other=0.0)
        if grad_token is not None:
            g = tl.load(grad_token + b * D + d, mask=d < D, other=0.0).to(tl.float32)
            value = tl.where(kept, value, (share[:, None] * g[None, :]).to(grad.dtype.element_ty))
        tl.store(grad + (b * n + i)[:, None] * D + d[None, :], value, mask=inside)


@triton.jit
def _shares(slot, words, weights, dropped_weight, b, i, n, n_dropped, weights_stride):
    """`share_i` of tokens i of image b."""
    place = tl.load(slot + b * n + i, mask=i < n, other=0)
    dropped = has(tl.load(words + i, mask=i < n, other=0), VALID) & (place < 0)
    share = tl.zeros_like(place).to(tl.float32) + 1.0 / tl.maximum(n_dropped, 1)
    if weights is not None:
        total = tl.load(dropped_weight + b)
        weight = tl.load(weights + b * weights_stride + i, mask=dropped, other=0.0).to(tl.float32)
        share = tl.where(total > 0.0, weight / tl.where(total > 0.0, total, 1.0), share)
    return tl.where(dropped, share, 0.0)
