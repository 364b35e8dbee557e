"""Device code: exactly K tokens from integer keys, lowest index first among equals, without a sort.

1. T = the largest value with at least `need` keys ≥ T: six bits of T a turn, by a histogram of 64 bins
2. keep what is reserved, every key > T, and the first `need − #{key > T}` keys = T
3. one running sum over (kept for sure, tied) gives every kept token its place in ascending order
"""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

import triton
import triton.language as tl

from shirg_core.coverage.regions_kernel import NEVER, RESERVED
from shirg_core.kernels.geometry import VALID, has

DIGIT = tl.constexpr(6)  # bits a turn
BINS = tl.constexpr(64)


@triton.jit
def threshold(keys, n, need, TURNS: tl.constexpr, BLOCK: tl.constexpr):
    """The `need`-th largest of the keys in [0, 64^TURNS), and how many are larger; at least `need` of them exist.

    The open interval is [found, found + 64 · 2^shift). Keys below it fall into bin 0, keys above it into the last one,
    so that sums from a bin on count all keys that are as large.
    """
    found, larger = 0, 0
    total = tl.cdiv(n, BLOCK) * BLOCK
    for turn in tl.static_range(TURNS):
        shift = DIGIT * (TURNS - 1 - turn)
        bins = tl.zeros([BINS], tl.int32)
        for start in range(0, n, BLOCK):
            i = start + tl.arange(0, BLOCK)
            place = (tl.load(keys + i, mask=i < n, other=NEVER) - found) >> shift
            bins += tl.histogram(tl.minimum(tl.maximum(place, 0), BINS - 1), BINS)
        up_to = tl.cumsum(bins, 0)
        too_few = up_to <= total - need  # from the next bin on, there are still `need`
        digit = tl.sum(too_few.to(tl.int32), 0)
        beyond = total - tl.min(tl.where(too_few, total, up_to), 0)
        larger = tl.where(digit == BINS - 1, larger, beyond)
        found += digit << shift
    return found, larger


@triton.jit
def compact(keys, weights, words, indices, slot, n, bar, tied_places, ONE_CHUNK: tl.constexpr, BLOCK: tl.constexpr):
    """Keep keys above `bar` and `tied_places` equal to it; returns the dropped tokens' weight.

    Writes `indices [K]` and `slot [N]`, the place in `indices` or −1 when dropped.
    """
    # Two counts in one integer: 32 bits have room for those of a short image.
    COUNT: tl.constexpr = tl.int32 if ONE_CHUNK and BLOCK < 32768 else tl.int64
    HALF: tl.constexpr = COUNT.primitive_bitwidth // 2
    before = tl.zeros((), COUNT)
    dropped_weight = 0.0
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        key = tl.load(keys + i, mask=i < n, other=NEVER)
        sure, tied = (key > bar) | (key == RESERVED), key == bar
        packed = sure.to(COUNT) | (tied.to(COUNT) << HALF)
        running = before + tl.cumsum(packed, 0)
        tied_so_far = running >> HALF
        kept = sure | (tied & (tied_so_far <= tied_places))
        place = (running & ((1 << HALF) - 1)) + tl.minimum(tied_so_far, tied_places) - 1
        tl.store(slot + i, tl.where(kept, place, -1).to(tl.int32), mask=i < n)
        tl.store(indices + place, i.to(tl.int64), mask=kept)
        if not ONE_CHUNK:
            before += tl.sum(packed, 0)
        if weights is not None:
            dropped = has(tl.load(words + i, mask=i < n, other=0), VALID)
            weight = tl.load(weights + i, mask=dropped & ~kept, other=0.0).to(tl.float32)
            dropped_weight += tl.sum(weight, 0)
    return dropped_weight
