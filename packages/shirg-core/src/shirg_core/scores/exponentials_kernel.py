"""Device code: one tile of `(cos − 1)/τ + s` on the matrix units, and what attention sums of it.

    w_ij = (d_i·d_j − q_i − q_j)/τ + s  =  (cos(v_i, v_j) − 1)/τ + s          (see `scores.exponentials`)

in units of ln 2: `2^w = e_ij`. Tokens and their terms are those of `directions_kernel`.
"""

from __future__ import annotations

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="untyped-decorator, no-untyped-def"
import triton
import triton.language as tl

from shirg_core.kernels.numerics import dot

# Beside a token's own term, at least 1, 2⁻⁹⁹ is nothing; for a zero vector, which has no such term and whose cosines
# are all 0, it keeps the row sum above 0 however small τ is.
LEAST_LOGIT = tl.constexpr(-99.0)


@triton.jit
def logit_tile(
    point, terms, i, j, n, places, shift, passes,
    W: tl.constexpr, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """`[BLOCK, BLOCK]` float32 w of the tokens at places i and j, finite past the end; read is what `Points` holds.

    One pass takes products of the first parts; two more those of first by second and of second by first parts. A
    column's terms take 32 registers of every thread, so they are loaded after the loop.
    """
    row, col = tl.minimum(i, n - 1), tl.minimum(j, n - 1)
    product = tl.zeros([BLOCK, BLOCK], tl.float32)
    for start in tl.range(0, passes * W, BLOCK_D):
        d = start % W + tl.arange(0, BLOCK_D)
        left, right = tl.where(start >= 2 * W, n * W, 0), tl.where((start >= W) & (start < 2 * W), n * W, 0)
        a = tl.load(point + left + row[:, None] * W + d[None, :])
        b = tl.load(point + right + col[:, None] * W + d[None, :])
        product = dot(a, tl.trans(b), product, UPCAST)
    w = product * tl.load(terms + i)[:, None] * tl.load(terms + j)[None, :]
    height = terms + places
    w -= (tl.load(height + i) - 0.5 * shift)[:, None] + (tl.load(height + j) - 0.5 * shift)[None, :]
    return tl.maximum(w, LEAST_LOGIT)


@triton.jit
def exp2_less_1(w):
    """`2^w − 1`, precise for small w too: its series to the fifth term where the subtraction would cancel."""
    x = w * 0.6931471805599453
    series = x * (1.0 + x * (0.5 + x * (0.16666666666666666 + x * (0.041666666666666664 + x * 0.008333333333333333))))
    return tl.where(tl.abs(x) < 0.125, series, tl.exp2(w) - 1.0)


@triton.jit
def sum_parts(parts, n_parts, length, place, mask, BLOCK: tl.constexpr):
    """Sum of `parts [T, length]` over T at the given places, in a fixed order."""
    total = tl.zeros([BLOCK], tl.float32)
    for part in tl.range(0, n_parts, loop_unroll_factor=8):
        total += tl.load(parts + part * length + place, mask=mask, other=0.0)
    return total
