"""Attention received, streamed over tiles on the matrix units; N×N lives nowhere.

    e_ij = exp((cos(v_i, v_j) − 1)/τ + s) = 1 + h_ij = e_ji        r_i = Σ_j e_ij
    n·A_i − 1 = 1/r_i · Σ_j e_ij (r_i − r_j) / r_j                               (see `scores.attention`)

A cosine is at most 1, so the softmax needs no running maximum, and e is symmetric, so only tiles on and above the
diagonal are computed, `T(T+1)/2` of `T²`, each serving its rows and its columns. Two passes over them, one for r and
one for the deviation, and a small launch in between that adds up r.

What tells tokens apart is often the last digits of r, because `e_ii = exp(s)` outweighs all else, or because all e are
nearly equal. So the first pass sums `rest_i = Σ_{j≠i} h_ij`, and `r_i − r_j = rest_i − rest_j` keeps every digit; the
own term adds to both alike. A zero vector, whose cosine with everything is 0, has `r_i = n·exp(s − 1/τ)`.

Every tile writes its partial sums to a place of its own, `[T, places]`, and the reader adds them in a fixed order: no
atomics, no zeroing, the same bits on every run.

| symbol    | variable      | shape                                  |
|-----------|---------------|----------------------------------------|
| d, q, s   | points        | see `directions_kernel`                |
| rest      | rests         | `[B, T, places]` partial over tiles    |
| r, 1/r    | sums          | `[B, 2, places]`                       |
| n·A − 1   | (returned)    | `[B, T, places]` partial over tiles    |
"""

from __future__ import annotations

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="untyped-decorator, no-untyped-def"
import torch
import triton
import triton.language as tl
from torch import Tensor

from shirg_core.kernels.configs import attention_config
from shirg_core.kernels.numerics import needs_upcast
from shirg_core.scores.directions_kernel import Points, shift_and_passes
from shirg_core.scores.exponentials_kernel import LEAST_LOGIT, exp2_less_1, logit_tile, sum_parts


def deviation_parts(points: Points) -> Tensor:
    """Partial sums of `n·A − 1`, `[B, T, places]` float32, to be summed over T."""
    point, terms, notes = points
    (batch, _, n, width), places, programs = point.shape, terms.shape[2], notes.shape[2]
    upcast = needs_upcast(point)
    config = attention_config(point.device, upcast)
    tiles = triton.cdiv(n, config.block)
    rests, parts = (torch.empty(batch, tiles, places, dtype=torch.float32, device=point.device) for _ in range(2))
    sums = torch.empty(batch, 2, places, dtype=torch.float32, device=point.device)
    passes = torch.empty(batch, dtype=torch.int32, device=point.device)
    for given, out in ((None, rests), (sums, parts)):
        if given is not None:
            attention_sums_kernel[(tiles, batch)](
                rests, terms, notes, sums, passes, tiles, n, places, programs,
                PARTS=point.shape[1], BLOCK=config.block, num_warps=4, enable_fp_fusion=False,
            )  # fmt: skip
        attention_kernel[(tiles * (tiles + 1) // 2, batch)](
            point, terms, notes, given, passes, out, n, places, programs,
            W=width, BLOCK=config.block, BLOCK_D=config.block_d, UPCAST=upcast,
            **config.options,
        )  # fmt: skip
    return parts


@triton.jit
def attention_kernel(
    point, terms, notes, sums, passes, out, n, places, programs,
    W: tl.constexpr, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Program (tile, image). Without `sums`: partial rest; with it: partial deviation."""
    pid, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    tiles = tl.cdiv(n, BLOCK)
    # Tile (p, p+k mod T) for k = 0, 1, …: every unordered pair of tiles once, T(T+1)/2 in all.
    p = pid % tiles
    q = (p + pid // tiles) % tiles
    i, j = p * BLOCK + tl.arange(0, BLOCK), q * BLOCK + tl.arange(0, BLOCK)
    parts: tl.constexpr = 1 if UPCAST else 2
    point += b * n * W * parts
    if sums is None:
        shift, products = shift_and_passes(notes + b * 3 * programs, programs, parts)
    else:
        shift, products = 0.0, tl.load(passes + b)  # the weights carry s
    w = logit_tile(point, terms + b * 3 * places, i, j, n, places, shift, products, W, BLOCK, BLOCK_D, UPCAST)
    out += b * tiles * places
    mirrored = tl.where(p == q, 0, places)  # a diagonal tile has served everyone already
    # A column vector takes 32 registers of every thread. The barriers keep their uses apart, so that 128 do and two
    # programs share a multiprocessor.
    tl.debug_barrier()
    if sums is None:
        h = exp2_less_1(w)
        if (p == q) | (tl.maximum(p, q) == tiles - 1):
            others = (i[:, None] != j[None, :]) & (i < n)[:, None] & (j < n)[None, :]
            h = tl.where(others, h, 0.0)
        tl.store(out + q * places + i, tl.sum(h, 1))
        tl.store(out + p * places + j, tl.sum(h, 0), mask=j < mirrored)
    else:
        e = tl.exp2(w)
        sums += b * 2 * places
        weights = sums + places
        leaning = e * (tl.load(sums + i)[:, None] - tl.load(sums + j)[None, :])
        tl.debug_barrier()
        tl.store(out + q * places + i, tl.sum(leaning * tl.load(weights + j)[None, :], 1) * tl.load(weights + i))
        tl.debug_barrier()
        to_column = -tl.sum(leaning * tl.load(weights + i)[:, None], 0) * tl.load(weights + j)
        tl.store(out + p * places + j, to_column, mask=j < mirrored)


@triton.jit
def attention_sums_kernel(
    rests, terms, notes, sums, passes, tiles, n, places, programs,
    PARTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Program (tokens, image): r less what all but zero vectors share, precisely, and exp(s/2)/r; 0 past the end."""
    b = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    rest = sum_parts(rests + b * tiles * places, tiles, places, i, i < n, BLOCK)
    # The sum of a zero vector is known, where that of its h may have lost it.
    shift, products = shift_and_passes(notes + b * 3 * programs, programs, PARTS)
    if tl.program_id(0) == 0:
        tl.store(passes + b, products)
    gap = tl.load(terms + (b * 3 + 2) * places + i)
    is_zero, of_zero = gap > 0.0, tl.exp2(tl.maximum(-gap, LEAST_LOGIT) + shift) * n
    common = tl.exp2(shift) + (n - 1)
    total = tl.where(is_zero, of_zero, common + rest)
    sums += b * 2 * places + i
    tl.store(sums, tl.where(is_zero, of_zero - common, rest))
    tl.store(sums + places, tl.where(i < n, tl.exp2(0.5 * shift) / total, 0.0))
