"""Device code: exactly K tokens from integer keys, lowest index first among equals, without a sort.

1. T = the largest value with at least `need` keys ≥ T: two bits of T a turn, three counts in one reduction
2. keep what is reserved, every key > T, and the first `need − #{key > T}` keys = T
3. one running sum over (kept for sure, tied) gives every kept token its place in ascending order
"""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

import triton
import triton.language as tl

from shirg_core.kernels.regions import NEVER, RESERVED

LOW_21 = tl.constexpr((1 << 21) - 1)


@triton.jit
def threshold(keys, n, need, BITS: tl.constexpr, BLOCK: tl.constexpr):
    """The `need`-th largest of the keys in [0, 2^BITS), BITS even; at least `need` of them exist, n < 2²¹."""
    found = 0
    for step in range(0, BITS, 2):
        shift = BITS - 2 - step
        counts = tl.zeros((), tl.int64)
        for start in range(0, n, BLOCK):
            i = start + tl.arange(0, BLOCK)
            # How many quarters of the open interval lie at or below the key, −1 … 3.
            above = (tl.load(keys + i, mask=i < n, other=NEVER) - found) >> shift
            one, two, three = (above >= 1).to(tl.int64), (above >= 2).to(tl.int64), (above >= 3).to(tl.int64)
            counts += tl.sum(one | (two << 21) | (three << 42), 0)
        digit = ((counts & LOW_21) >= need).to(tl.int32) + (((counts >> 21) & LOW_21) >= need).to(tl.int32)
        digit += ((counts >> 42) >= need).to(tl.int32)
        found += digit << shift
    return found


@triton.jit
def compact(keys, weights, words, indices, slot, n, need, bar, VALID: tl.constexpr, BLOCK: tl.constexpr):
    """Write `indices [K]` and `slot [N]` (place in `indices`, −1 when dropped); returns the dropped tokens' weight."""
    strictly = 0
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        strictly += tl.sum((tl.load(keys + i, mask=i < n, other=NEVER) > bar).to(tl.int32), 0)
    tied_places = (need - strictly).to(tl.int64)
    before = tl.zeros((), tl.int64)
    dropped_weight = 0.0
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        key = tl.load(keys + i, mask=i < n, other=NEVER)
        sure, tied = (key > bar) | (key == RESERVED), key == bar
        packed = sure.to(tl.int64) | (tied.to(tl.int64) << 32)
        running = before + tl.cumsum(packed, 0)
        tied_so_far = running >> 32
        kept = sure | (tied & (tied_so_far <= tied_places))
        place = (running & 0xFFFFFFFF) + tl.minimum(tied_so_far, tied_places) - 1
        tl.store(slot + i, tl.where(kept, place, -1).to(tl.int32), mask=i < n)
        tl.store(indices + place, i.to(tl.int64), mask=kept)
        before += tl.sum(packed, 0)
        if weights is not None:
            dropped = (tl.load(words + i, mask=i < n, other=0) & VALID) != 0
            weight = tl.load(weights + i, mask=dropped & ~kept, other=0.0).to(tl.float32)
            dropped_weight += tl.sum(weight, 0)
    return dropped_weight
