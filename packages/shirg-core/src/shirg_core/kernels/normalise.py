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
def image_extent(values, words, n, BLOCK: tl.constexpr):
    """(minimum, maximum) of a component over the image's valid tokens."""
    low, high = float("inf"), float("-inf")
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        valid = has(tl.load(words + i, mask=i < n, other=0), VALID)
        x = tl.load(values + i, mask=valid, other=0.0).to(tl.float32)
        low = tl.minimum(low, tl.min(tl.where(valid, x, float("inf")), 0))
        high = tl.maximum(high, tl.max(tl.where(valid, x, float("-inf")), 0))
    return low, high


@triton.jit
def view_extents(values, extents, words, views, n_views, longest, VIEW_BLOCK: tl.constexpr, TOKEN_BLOCK: tl.constexpr):
    """Write (minimum, maximum) of a component over each view's valid tokens to `extents [V, 2]`, views side by side."""
    for first in range(0, n_views, VIEW_BLOCK):
        view = first + tl.arange(0, VIEW_BLOCK)
        origin = tl.load(views + 4 * view, mask=view < n_views, other=0)
        length = tl.load(views + 4 * view + 1, mask=view < n_views, other=0)
        low = tl.full([VIEW_BLOCK], float("inf"), tl.float32)
        high = tl.full([VIEW_BLOCK], float("-inf"), tl.float32)
        for start in range(0, longest, TOKEN_BLOCK):
            offset = start + tl.arange(0, TOKEN_BLOCK)[None, :]
            i = origin[:, None] + offset
            valid = has(tl.load(words + i, mask=offset < length[:, None], other=0), VALID)
            x = tl.load(values + i, mask=valid, other=0.0)
            low = tl.minimum(low, tl.min(tl.where(valid, x, float("inf")), 1))
            high = tl.maximum(high, tl.max(tl.where(valid, x, float("-inf")), 1))
        tl.store(extents + 2 * view, low, mask=view < n_views)
        tl.store(extents + 2 * view + 1, high, mask=view < n_views)


@triton.jit
def scaled(x, low, high, offset):
    """`(x − low) / (high − low)`; 0 where the range is too small to mean anything beside the size of `x + offset`."""
    span = high - low
    varies = span > CONSTANT * tl.maximum(tl.abs(low + offset), tl.abs(high + offset))
    return tl.where(varies, tl.div_rn(x - low, tl.where(varies, span, 1.0)), 0.0)
