"""Device code: extents of components, min–max scaling and saturation, as `scores.normalize` defines them."""

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
def third_of_mean(values, words, first, stop, BLOCK: tl.constexpr):
    """A third of the mean of a component, without what is below 0, over the valid tokens of `first … stop − 1`."""
    total, count = tl.zeros([BLOCK], tl.float64), tl.zeros([BLOCK], tl.int32)
    for start in range(first, stop, BLOCK):
        i = start + tl.arange(0, BLOCK)
        valid = has(tl.load(words + i, mask=i < stop, other=0), VALID)
        x = tl.load(values + i, mask=valid, other=0.0).to(tl.float32)
        total += tl.maximum(x, 0.0).to(tl.float64)
        count += valid.to(tl.int32)
    return (tl.sum(total, 0) / (3 * tl.maximum(tl.sum(count, 0), 1)).to(tl.float64)).to(tl.float32)


@triton.jit
def measure(values, words, first, stop, SATURATE: tl.constexpr, BLOCK: tl.constexpr):
    """What `rescaled` needs to know of a group: minimum and maximum, or to saturate, 0 and a third of the mean."""
    if SATURATE:
        low, high = 0.0, third_of_mean(values, words, first, stop, BLOCK)
    else:
        low, high = extent(values, words, first, stop, BLOCK)
    return low, high


@triton.jit
def store_measure(values, out, words, first, stop, SATURATE: tl.constexpr, BLOCK: tl.constexpr):
    """Write what `measure` finds of a view to `out [2]`."""
    low, high = measure(values, words, first, stop, SATURATE, BLOCK)
    tl.store(out, low)
    tl.store(out + 1, high)


@triton.jit
def rescaled(x, low, high, offset, SATURATE: tl.constexpr):
    """A component by what `measure` found: saturated, or min–max scaled."""
    if SATURATE:
        x = tl.maximum(x, 0.0)
        result = tl.where(x > 0.0, tl.div_rn(x, tl.where(x > 0.0, x + high, 1.0)), 0.0)
    else:
        result = scaled(x, low, high, offset)
    return result


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
