"""Attention received, streamed over tiles on the matrix units; N×N lives nowhere.

    e_ij = exp((cos(v_i, v_j) − 1)/τ) = e_ji        r_i = Σ_j e_ij
    n·A_i − 1 = 1/r_i · Σ_j e_ij (r_i − r_j) / r_j                               (see `scores.attention`)

A cosine is at most 1, so the softmax needs no running maximum, and e is symmetric, so only tiles on and above the
diagonal are computed, `T(T+1)/2` of `T²`, each serving its rows and its columns. Two passes over them: one for r, one
for the deviation.

What tells tokens apart is often the last digits of r, because `e_ii = 1` outweighs all else. So the first pass sums the
others, `rest_i = Σ_{j≠i} e_ij`, and `r_i − r_j = rest_i − rest_j` keeps every digit; the own term adds to both alike,
except that a zero vector, whose cosine with everything is 0, has `e_ii = exp(−1/τ)`.

Every tile writes its partial sums to a place of its own, `[T, n]`, and the reader adds them in a fixed order: no
atomics, no zeroing, the same bits on every run.

| symbol    | variable   | shape                                  |
|-----------|------------|----------------------------------------|
| v         | x          | `[B, N, D]`                            |
| ‖v‖       | norm       | `[B, N]`                               |
| rest      | rests      | `[B, T, n]` partial over tiles         |
| n·A − 1   | (returned) | `[B, T, n]` partial over tiles         |
"""

from __future__ import annotations

import math

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="untyped-decorator, no-untyped-def"
import torch
import triton
import triton.language as tl
from torch import Tensor

from shirg_core.kernels.configs import attention_config
from shirg_core.kernels.cosines import LEAST_LOGIT, exponential_tile, sum_parts, token_at
from shirg_core.kernels.numerics import is_aligned, needs_upcast


def deviation_parts(features: Tensor, norm: Tensor, keys: Tensor | None, temperature: float) -> Tensor:
    """Partial sums of `n·A − 1`.

    Args:
        features: `[B, N, D]`, dense last dimension.
        norm: `[B, N]` float32.
        keys: `[n]` int64, ascending tokens that take part; None = all.
        temperature: τ.

    Returns:
        `[B, T, n]` float32, to be summed over T.
    """
    batch, n, width = features.shape
    n_keys = n if keys is None else len(keys)
    upcast = needs_upcast(features)
    config = attention_config(features.device, upcast, is_aligned(features))
    tiles = triton.cdiv(n_keys, config.block)
    rests, parts = (torch.empty(batch, tiles, n_keys, dtype=torch.float32, device=features.device) for _ in range(2))
    for given, out in ((None, rests), (rests, parts)):
        attention_kernel[(tiles * (tiles + 1) // 2, batch)](
            features, norm, keys, given, out,
            n, n_keys, features.stride(0), features.stride(1), math.log2(math.e) / temperature,
            D=width, BLOCK=config.block, BLOCK_D=config.block_d, UPCAST=upcast,
            **config.options,
        )  # fmt: skip
    return parts


@triton.jit
def attention_kernel(
    x, norm, keys, rests, out, n, n_keys, stride_b, stride_n, scale,
    D: tl.constexpr, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Program (tile, image). Without `rests`: partial rest; with it: partial deviation."""
    pid, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    tiles = tl.cdiv(n_keys, BLOCK)
    # Tile (p, p+k mod T) for k = 0, 1, …: every unordered pair of tiles once, T(T+1)/2 in all.
    p = pid % tiles
    q = (p + pid // tiles) % tiles
    i, j = p * BLOCK + tl.arange(0, BLOCK), q * BLOCK + tl.arange(0, BLOCK)
    row, col = token_at(keys, i, n_keys), token_at(keys, j, n_keys)
    norm += b * n
    e = exponential_tile(x + b * stride_b, norm, row, col, stride_n, scale, D, BLOCK, BLOCK_D, UPCAST)
    out += b * tiles * n_keys
    mirrored = tl.where(p == q, 0, n_keys)  # a diagonal tile has served everyone already
    # A column vector takes 32 registers of every thread. The barriers keep their uses apart, so that 128 do and two
    # programs share a multiprocessor.
    tl.debug_barrier()
    if rests is None:
        if (p == q) | (tl.maximum(p, q) == tiles - 1):
            others = (i[:, None] != j[None, :]) & (i < n_keys)[:, None] & (j < n_keys)[None, :]
            e = tl.where(others, e, 0.0)
        tl.store(out + q * n_keys + i, tl.sum(e, 1), mask=i < n_keys)
        tl.store(out + p * n_keys + j, tl.sum(e, 0), mask=j < mirrored)
    else:
        rests += b * tiles * n_keys
        row_excess, row_weight = _excess(rests, i, tl.load(norm + row), tiles, n_keys, scale, BLOCK)
        col_excess, col_weight = _excess(rests, j, tl.load(norm + col), tiles, n_keys, scale, BLOCK)
        leaning = e * (row_excess[:, None] - col_excess[None, :])
        tl.debug_barrier()
        tl.store(out + q * n_keys + i, tl.sum(leaning * col_weight[None, :], 1) * row_weight, mask=i < n_keys)
        tl.debug_barrier()
        tl.store(out + p * n_keys + j, -tl.sum(leaning * row_weight[:, None], 0) * col_weight, mask=j < mirrored)


@triton.jit
def _excess(rests, i, norm, tiles, n_keys, scale, BLOCK: tl.constexpr):
    """`r_i − 1`, precisely, and `1/r_i`; 0 past the end."""
    rest = sum_parts(rests, tiles, n_keys, i, i < n_keys, BLOCK)
    own = tl.where(norm > 0.0, 1.0, tl.exp2(tl.maximum(-scale, LEAST_LOGIT)))
    weight = 1.0 / (own + rest)
    return rest + (own - 1.0), tl.where(i < n_keys, weight, 0.0)
