"""Device code: what attention multiplies, tokens as differences to their mean direction; written by the statistics.

    u = v/‖v‖,   d = u − m,   q = ‖d‖²/2       (see `scores.directions`, `scores.exponentials`)

Matrix units take 16 bits. Features of 16 bits go to float16, scaled by a power of two, which is exact where m is 0: in
all channels but those where tokens agree, whose mean is over four times their spread. There a difference takes two
parts of 11 bits. Second parts are multiplied only if some token's differences in such channels hold more than 2⁻¹⁰ of
what tokens differ by; a single channel that all tokens share seldom does, a direction does. Features of 32 bits keep
float32.

m comes from eight tokens, which every program reads again: any m will do, if it is the same for all, and a mean of all
tokens would cost a launch. What must hold for all tokens does not rest on a sample: every program notes what its own
tokens differ by, and attention's add that up (`shift_and_passes`).

| symbol            | variable | shape       |
|-------------------|----------|-------------|
| v                 | x        | `[B, N, D]` |
| d·t               | point    | `[B, 2, n, W]` or `[B, 1, n, W]` |
| √(1/τ)/t          | terms    | `[B, 0, places]` |
| q/τ               | terms    | `[B, 1, places]` |
| 1/τ or 0          | terms    | `[B, 2, places]` |
| Σ q/τ, count, max | notes    | `[B, 3, programs]` |

1/τ is in units of ln 2; t ∈ [256, 512) is the length that the power of two leaves; W is D in whole tiles. A zero
vector has the q that makes its cosine with everything 0, (1 + ‖m‖²)/2; the third term is 1/τ for it, 0 for all others.
All terms are 0 past the end, up to a whole tile's places. The notes leave zero vectors out; the last is the largest
‖d‖²/τ of a token over channels in which tokens agree.
"""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from shirg_core.kernels.numerics import load_rows, needs_upcast

SAMPLES = tl.constexpr(8)
AGREEMENT = tl.constexpr(16.0)
SECOND_SHARE = tl.constexpr(1024.0)
WHOLE = 64
PLACES = tl.constexpr(128)
TOKENS = 8
"""Tokens of a program that writes points."""
LENGTH = tl.constexpr(256.0)
LEAST_LENGTH = tl.constexpr(1e-30)
# 2²⁰: what lies further from a token than that weighs nothing beside the token itself.
MOST_SHIFT = tl.constexpr(20.0)
EXPONENT = tl.constexpr(0x7F800000)


class Points(NamedTuple):
    """Of n selectable tokens; terms and notes are float32.

    Attributes:
        point: `[B, 2, n, W]` float16, first and second parts, or `[B, 1, n, W]` float32.
        terms: `[B, 3, places]`, n in whole tiles.
        notes: `[B, 3, programs]`.
    """

    point: Tensor
    terms: Tensor
    notes: Tensor


def new_points(features: Tensor, n: int) -> Points:
    """Room for the n selectable tokens of `features [B, N, D]`."""
    (batch, total, width), device = features.shape, features.device
    parts, kind = (1, torch.float32) if needs_upcast(features) else (2, torch.float16)
    return Points(
        torch.empty(batch, parts, n, triton.cdiv(width, WHOLE) * WHOLE, dtype=kind, device=device),
        torch.empty(batch, 3, triton.cdiv(n, PLACES.value) * PLACES.value, dtype=torch.float32, device=device),
        torch.empty(batch, 3, triton.cdiv(total, TOKENS), dtype=torch.float32, device=device),
    )


@triton.jit
def sample_rows(keys, n):
    """Eight of the selectable tokens, spaced by the golden ratio: a grid's columns are sampled like its rows."""
    sample = ((tl.arange(0, SAMPLES) * 1265 + 632) & 2047) * n // 2048
    return sample if keys is None else tl.load(keys + sample).to(tl.int32)


@triton.jit
def write_points(
    x, point, terms, notes, sample, sample_length, place, i, valid, length,
    n, places, total, stride_n, scale,
    D: tl.constexpr, W: tl.constexpr, PARTS: tl.constexpr, ROWS: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Points and terms of `ROWS` tokens i of an image, at their places among the selectable ones; `scale = log₂e/τ`.

    `notes`: this program's, of every image.
    """
    every, sample_inverse = sample >= 0, _inverse(sample_length)
    share = tl.div_rn(1.0, tl.maximum(tl.sum((sample_length > 0.0).to(tl.float32), 0), 1.0))
    inverse = _inverse(length)
    # The power of two that brings the length to [256, 512).
    floor = (tl.maximum(length, LEAST_LENGTH).to(tl.int32, bitcast=True) & EXPONENT).to(tl.float32, bitcast=True)
    power = tl.div_rn(tl.zeros([ROWS], tl.float32) + LENGTH, floor)
    is_zero = length == 0.0
    size = tl.where(is_zero, LENGTH, length * power)
    zero = tl.zeros([ROWS, BLOCK_D], tl.float32)
    near, rounded, unit = zero, zero, zero
    for start in range(0, W, BLOCK_D):
        s = load_rows(x, sample, every, stride_n, start, D, BLOCK_D) * sample_inverse[:, None]
        v = load_rows(x, i, valid, stride_n, start, D, BLOCK_D)
        mean, square = tl.split(tl.sum(tl.join(s, s * s), 0) * share)
        agrees = mean * mean > AGREEMENT * tl.maximum(square - mean * mean, 0.0)
        mean = tl.where(agrees, mean, 0.0)
        difference, direction = tl.fma(v, inverse[:, None], -mean[None, :]), v * inverse[:, None]
        in_parts = tl.where(agrees[None, :], difference, 0.0)
        near = tl.fma(difference, difference, near)
        rounded = tl.fma(in_parts, in_parts, rounded)
        unit = tl.fma(direction, direction, unit)
        value = tl.where(agrees[None, :], difference * size[:, None], v * power[:, None])
        d = start + tl.arange(0, BLOCK_D)
        at, inside = point + place[:, None] * W + d[None, :], valid[:, None] & (d < W)[None, :]
        first = value.to(point.dtype.element_ty)
        tl.store(at, first, mask=inside)
        if PARTS == 2:
            tl.store(at + n * W, (value - first.to(tl.float32)).to(point.dtype.element_ty), mask=inside)
    # ‖u‖² is 1 and what rounding makes of it is a token's own, in all of its logits: corrected where u enters as it is.
    total_near, total_rounded = tl.sum(near, 1), tl.sum(rounded, 1)
    total_near = tl.fma(total_near - total_rounded, tl.where(is_zero, 0.0, 1.0 - tl.sum(unit, 1)), total_near)
    height = (total_near * 0.5 + tl.where(is_zero, 0.5, 0.0)) * scale
    tl.store(terms + place, tl.div_rn(tl.sqrt_rn(tl.zeros([ROWS], tl.float32) + scale), size), mask=valid)
    tl.store(terms + places + place, height, mask=valid)
    tl.store(terms + 2 * places + place, tl.where(is_zero, scale, 0.0), mask=valid)
    counts, programs = valid & (length > 0.0), tl.cdiv(total, ROWS)
    tl.store(notes, tl.sum(tl.where(counts, height, 0.0), 0))
    tl.store(notes + programs, tl.sum(counts.to(tl.float32), 0))
    tl.store(notes + 2 * programs, tl.max(tl.where(counts, total_rounded, 0.0), 0) * scale)
    if tl.program_id(0) == 0:
        past = places - PLACES + tl.arange(0, PLACES)
        for term in tl.static_range(3):
            tl.store(terms + term * places + past, tl.zeros([PLACES], tl.float32), mask=past >= n)


@triton.jit
def shift_and_passes(notes, programs, PARTS: tl.constexpr):
    """s, and how many products are needed: 3 where second parts matter, else 1."""
    heights, counts = tl.zeros([PLACES], tl.float32), tl.zeros([PLACES], tl.float32)
    rounded = tl.zeros([PLACES], tl.float32)
    for start in range(0, programs, PLACES):
        at = start + tl.arange(0, PLACES)
        heights += tl.load(notes + at, mask=at < programs, other=0.0)
        counts += tl.load(notes + programs + at, mask=at < programs, other=0.0)
        rounded = tl.maximum(rounded, tl.load(notes + 2 * programs + at, mask=at < programs, other=0.0))
    mean = tl.div_rn(2.0 * tl.sum(heights, 0), tl.maximum(tl.sum(counts, 0), 1.0))
    passes = 1
    if PARTS == 2:
        passes = tl.where(tl.max(rounded, 0) * SECOND_SHARE > mean, 3, 1)
    return tl.minimum(mean, MOST_SHIFT), passes


@triton.jit
def _inverse(length):
    """`1/‖v‖`, and 0 for a zero vector."""
    is_zero = length == 0.0
    one = tl.full(length.shape, 1.0, tl.float32)
    return tl.where(is_zero, 0.0, tl.div_rn(one, tl.where(is_zero, one, length)))
