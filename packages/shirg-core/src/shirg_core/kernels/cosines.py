"""Device code: one tile of `exp((cos − 1)/τ)` on the matrix units, shared by both ways of computing attention."""

from __future__ import annotations

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="untyped-decorator, no-untyped-def"
import triton
import triton.language as tl

from shirg_core.kernels.numerics import dot

# Beside the 1 of a token's own term 2⁻⁹⁹ is nothing; for a zero vector, which has no such term and whose cosines are
# all 0, it keeps the row sum above 0 however small τ is.
LEAST_LOGIT = tl.constexpr(-99.0)


@triton.jit
def token_at(index, place, count):
    """The token at a place of an index list (the place itself where there is none); past the end, the last one."""
    token = tl.minimum(place, count - 1)
    if index is not None:
        token = tl.load(index + token).to(tl.int32)
    return token


@triton.jit
def exponential_tile(
    x, norm, row, col, stride, scale,
    D: tl.constexpr, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """`[BLOCK, BLOCK]` float32 `exp((cos(v_row, v_col) − 1)/τ)`, `scale = log₂e/τ`.

    Half-precision products are exact in float32, so the features are multiplied as they are and scaled afterwards.
    """
    product = tl.zeros([BLOCK, BLOCK], tl.float32)
    for start in tl.range(0, D, BLOCK_D):
        d = start + tl.arange(0, BLOCK_D)
        if D % BLOCK_D == 0:
            a = tl.load(x + row[:, None] * stride + d[None, :])
            b = tl.load(x + col[:, None] * stride + d[None, :])
        else:
            a = tl.load(x + row[:, None] * stride + d[None, :], mask=(d < D)[None, :], other=0.0)
            b = tl.load(x + col[:, None] * stride + d[None, :], mask=(d < D)[None, :], other=0.0)
        product = dot(a, tl.trans(b), product, UPCAST)
    # The norms are loaded here and not before the loop, which needs the registers.
    cosine = product * _inverse(tl.load(norm + row))[:, None] * _inverse(tl.load(norm + col))[None, :]
    return tl.exp2(tl.minimum(tl.maximum(cosine * scale - scale, LEAST_LOGIT), 0.0))


@triton.jit
def _inverse(norm):
    # A zero vector's products are 0 whatever they are multiplied with, as long as that is finite.
    return 1.0 / tl.maximum(norm, 1e-18)


@triton.jit
def sum_parts(parts, n_parts, length, place, mask, BLOCK: tl.constexpr):
    """Sum of `parts [T, length]` over T at the given places, in a fixed order."""
    total = tl.zeros([BLOCK], tl.float32)
    for part in tl.range(0, n_parts, loop_unroll_factor=8):
        total += tl.load(parts + part * length + place, mask=mask, other=0.0)
    return total
