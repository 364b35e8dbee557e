"""Per-token statistics, all in one pass over the features.

    norm      ‖v_i‖
    variance  1/D · Σ_d (v_id − mean_d v_id)²
    gradient  sqrt(‖∂_row v‖² + ‖∂_col v‖²)                     (see `scores.statistics`)
    right, below  cos(v_i, v_right), cos(v_i, v_below)           (see `coverage.grid_graph`)

The variance needs no second pass: with s = the mean of the first channel block,
`Var = E[(v−s)²] − (E[v−s])²`. A block of C of the D channels gives `(mean − s)² ≤ D/C · Var`, so the subtraction
loses at most a factor D/C of float32's precision, however large the mean is.

Neighbouring rows come from cache: a program's tokens are consecutive, so only the rows above and below are new.
Padding has all statistics 0. Programs after the tokens' compute the norms of the text, saving a launch. Where attention
is wanted, tokens are read once more, from cache, and written as `directions_kernel` has it.

Fused multiply–adds are written out and the compiler adds none: it would fuse a lane's last product with the neighbour's
sum, the lanes that share a row would round differently, and which of them writes would decide the last digit.

| symbol | variable | shape       |
|--------|----------|-------------|
| v      | x        | `[B, N, D]` |
| t      | text     | `[B, M, D]` |
"""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from shirg_core.kernels.geometry import ABOVE, BELOW, LEFT, RIGHT, VALID, WIDTH_SHIFT, Geometry, has
from shirg_core.kernels.numerics import TINY, load_rows, power_of_two
from shirg_core.scores.directions_kernel import SAMPLES, TOKENS, Points, sample_rows, write_points

ROWS = TOKENS
MOST_CHANNELS, MOST_POINT_CHANNELS = 128, 256


class Statistics(NamedTuple):
    """`[B, N]` float32 each, `text_norm [B, M]`; None = not asked for."""

    norm: Tensor
    variance: Tensor | None
    gradient: Tensor | None
    right: Tensor | None
    below: Tensor | None
    text_norm: Tensor | None


def token_statistics(
    features: Tensor,
    geo: Geometry,
    *,
    variance: bool = False,
    gradient: bool = False,
    cosine: bool = False,
    text: Tensor | None = None,
    points: Points | None = None,
    temperature: float = 1.0,
) -> Statistics:
    """Launch the kernel. `features [B, N, D]` and `text [B, M, D]` with a dense last dimension.

    `points`, where given, is filled for attention with this temperature.
    """
    batch, n, width = features.shape
    m = 0 if text is None else text.shape[1]

    def column(wanted: bool, length: int = n) -> Tensor | None:
        return torch.empty(batch, length, dtype=torch.float32, device=features.device) if wanted else None

    out = Statistics(
        torch.empty(batch, n, dtype=torch.float32, device=features.device),
        column(variance),
        column(gradient),
        column(cosine),
        column(cosine),
        column(text is not None, m),
    )
    token_programs = triton.cdiv(n, ROWS)
    statistics_kernel[(token_programs + triton.cdiv(m, ROWS), batch)](
        features, geo.tokens, *out[:5], text, out.text_norm,
        n, features.stride(0), features.stride(1),
        m, 0 if text is None else text.stride(0), 0 if text is None else text.stride(1), token_programs,
        *((None, None, None, None, None, 0, 0) if points is None else
          (*points, geo.keys, geo.position, points.point.shape[2], points.terms.shape[2])),
        math.log2(math.e) / temperature,
        D=width, W=0 if points is None else points.point.shape[3], PARTS=1 if points is None else points.point.shape[1],
        ROWS=ROWS, BLOCK_D=power_of_two(width, MOST_CHANNELS), POINT_D=power_of_two(width, MOST_POINT_CHANNELS),
        num_warps=4, num_stages=1, enable_fp_fusion=False,
    )  # fmt: skip
    return out


# A value that differs between calls on one layout must not compile anew: a graph's capture could not wait for it.
@triton.jit(do_not_specialize=("m", "token_programs", "n_keys", "places"))
def statistics_kernel(
    x, words, norm, variance, gradient, right, below, text, text_norm,
    n, stride_b, stride_n, m, text_stride_b, text_stride_m, token_programs,
    point, terms, notes, keys, position, n_keys, places, scale,
    D: tl.constexpr, W: tl.constexpr, PARTS: tl.constexpr,
    ROWS: tl.constexpr, BLOCK_D: tl.constexpr, POINT_D: tl.constexpr,
):  # fmt: skip
    """Program (rows, image): statistics of `ROWS` tokens, or norms of `ROWS` text tokens."""
    pid, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    if pid < token_programs:
        i = pid * ROWS + tl.arange(0, ROWS)
        word = tl.load(words + i, mask=i < n, other=0)
        image = x + b * stride_b
        sample = None if point is None else sample_rows(keys, n_keys)
        length, sample_length = _token_rows(
            image, b * n + i, norm, variance, gradient, right, below, i, word, i < n, sample, stride_n, D, ROWS, BLOCK_D
        )
        if point is not None:
            valid, place = has(word, VALID), i
            if position is not None:
                place = tl.load(position + i, mask=valid, other=0)
            point, terms = point + b * n_keys * PARTS * W, terms + b * 3 * places
            notes += b * 3 * token_programs + pid
            write_points(
                image, point, terms, notes, sample, sample_length, place, i, valid, length,
                n_keys, places, n, stride_n, scale, D, W, PARTS, ROWS, POINT_D,
            )  # fmt: skip
    else:
        if text is not None:
            j = (pid - token_programs) * ROWS + tl.arange(0, ROWS)
            square = tl.zeros([ROWS, BLOCK_D], tl.float32)
            for start in range(0, D, BLOCK_D):
                t = load_rows(text + b * text_stride_b, j, j < m, text_stride_m, start, D, BLOCK_D)
                square = tl.fma(t, t, square)
            tl.store(text_norm + b * m + j, tl.sqrt_rn(tl.sum(square, 1)), mask=j < m)


@triton.jit
def _token_rows(
    x, out, norm, variance, gradient, right, below, i, word, inside, sample, stride_n,
    D: tl.constexpr, ROWS: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Write what is wanted; returns the lengths of the tokens and of the sampled ones."""
    valid = has(word, VALID)
    width = word >> WIDTH_SHIFT
    to_right, to_below, to_left, to_above = has(word, RIGHT), has(word, BELOW), has(word, LEFT), has(word, ABOVE)
    # A missing neighbour is replaced by the token itself: the difference becomes one-sided, or zero.
    next_col, next_row = i + to_right, i + tl.where(to_below, width, 0)
    last_col, last_row = i - to_left, i - tl.where(to_above, width, 0)
    col_factor = tl.where(to_right & to_left, 0.25, 1.0)[:, None]
    row_factor = tl.where(to_below & to_above, 0.25, 1.0)[:, None]
    shift = tl.sum(load_rows(x, i, valid, stride_n, 0, D, BLOCK_D), 1) / min(D, BLOCK_D)
    zero = tl.zeros([ROWS, BLOCK_D], tl.float32)
    square, offset, spread, slope = zero, zero, zero, zero
    dot_right, dot_below, square_right, square_below = zero, zero, zero, zero
    sample_square = tl.zeros([SAMPLES, BLOCK_D], tl.float32)
    for start in range(0, D, BLOCK_D):
        v = load_rows(x, i, valid, stride_n, start, D, BLOCK_D)
        square = tl.fma(v, v, square)
        if sample is not None:
            s = load_rows(x, sample, sample >= 0, stride_n, start, D, BLOCK_D)
            sample_square = tl.fma(s, s, sample_square)
        if variance is not None:
            d = start + tl.arange(0, BLOCK_D)
            centred = tl.where((d < D)[None, :], v - shift[:, None], 0.0)
            offset += centred
            spread = tl.fma(centred, centred, spread)
        if gradient is not None or right is not None:
            after_col = load_rows(x, next_col, valid, stride_n, start, D, BLOCK_D)
            after_row = load_rows(x, next_row, valid, stride_n, start, D, BLOCK_D)
            if gradient is not None:
                across = after_col - load_rows(x, last_col, valid, stride_n, start, D, BLOCK_D)
                down = after_row - load_rows(x, last_row, valid, stride_n, start, D, BLOCK_D)
                slope = tl.fma(across * across, col_factor, tl.fma(down * down, row_factor, slope))
            if right is not None:
                dot_right = tl.fma(v, after_col, dot_right)
                dot_below = tl.fma(v, after_row, dot_below)
                square_right = tl.fma(after_col, after_col, square_right)
                square_below = tl.fma(after_row, after_row, square_below)
    length = tl.sqrt_rn(tl.sum(square, 1))
    tl.store(norm + out, length, mask=inside)
    if variance is not None:
        mean_offset = tl.sum(offset, 1) / D
        tl.store(variance + out, tl.maximum(tl.sum(spread, 1) / D - mean_offset * mean_offset, 0.0), mask=inside)
    if gradient is not None:
        tl.store(gradient + out, tl.sqrt_rn(tl.sum(slope, 1)), mask=inside)
    if right is not None:
        length_right, length_below = tl.sqrt_rn(tl.sum(square_right, 1)), tl.sqrt_rn(tl.sum(square_below, 1))
        # The product is floored, not its factors: two tiny lengths would underflow to 0 / 0.
        cosine_right = tl.div_rn(tl.sum(dot_right, 1), tl.maximum(length * length_right, TINY))
        cosine_below = tl.div_rn(tl.sum(dot_below, 1), tl.maximum(length * length_below, TINY))
        tl.store(right + out, cosine_right, mask=inside)
        tl.store(below + out, cosine_below, mask=inside)
    return length, tl.sqrt_rn(tl.sum(sample_square, 1))
