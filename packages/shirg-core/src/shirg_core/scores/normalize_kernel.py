"""Device code: extents of components and min–max scaling, as `scores.normalize` defines them."""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

import triton
import triton.language as tl

from shirg_core.kernels.geometry import VALID, has
from shirg_core.scores.normalize import CONSTANT_RANGE

CONSTANT = tl.constexpr(CONSTANT_RANGE)


@triton.jit
def extent(values, words, first, stop, BLOCK: tl.constexpr):
    """(minimum, maximum) of a component over the valid tokens of `first … stop − 1`, by one reduction for both."""
    low, high = float("inf"), float("-inf")
    for start in range(first, stop, BLOCK):
        i = start + tl.arange(0, BLOCK)
        valid = has(tl.load(words + i, mask=i < stop, other=0), VALID)
        x = tl.load(values + i, mask=valid, other=0.0).to(tl.float32)
        ends = tl.where(valid[:, None], tl.join(x, -x), float("inf"))
        lowest, negated = tl.split(tl.min(ends, 0))
        low, high = tl.minimum(low, lowest), tl.maximum(high, -negated)
    return low, high


@triton.jit
def store_extent(values, out, words, first, stop, BLOCK: tl.constexpr):
    """Write the extent of a view to `out [2]`."""
    low, high = extent(values, words, first, stop, BLOCK)
    tl.store(out, low)
    tl.store(out + 1, high)


@triton.jit
def scaled(x, low, high, offset):
    """`(x − low) / (high − low)`; 0 where the range is too small to mean anything beside the size of `x + offset`."""
    span = high - low
    varies = span > CONSTANT * tl.maximum(tl.abs(low + offset), tl.abs(high + offset))
    return tl.where(varies, tl.div_rn(x - low, tl.where(varies, span, 1.0)), 0.0)
