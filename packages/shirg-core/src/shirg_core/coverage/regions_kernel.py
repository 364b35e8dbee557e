"""Device code: which clustering level an image uses, the clusters' numbers, and the winner of every region."""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

import triton
import triton.language as tl

from shirg_core.kernels.geometry import PINNED, VALID, has

RESERVED = tl.constexpr(-2)
NEVER = tl.constexpr(-1)


@triton.jit
def fitting_level(
    counts, views, n_levels, n_views, most, capacity, LEVEL_BLOCK: tl.constexpr, VIEW_BLOCK: tl.constexpr
):
    """The first level with at most `most` clusters, `capacity` of them in views that are not pinned; else the last."""
    level = tl.arange(0, LEVEL_BLOCK)
    clusters, unassigned = tl.zeros([LEVEL_BLOCK], tl.int32), tl.zeros([LEVEL_BLOCK], tl.int32)
    for first in range(0, n_views, VIEW_BLOCK):
        view = first + tl.arange(0, VIEW_BLOCK)
        mask = (level < n_levels)[:, None] & (view < n_views)[None, :]
        count = tl.load(counts + level[:, None] * n_views + view[None, :], mask=mask, other=0)
        pinned = tl.load(views + 4 * view + 3, mask=view < n_views, other=0)
        clusters += tl.sum(count, 1)
        unassigned += tl.sum(tl.where(pinned[None, :] != 0, 0, count), 1)
    fits = (clusters <= most) & (unassigned <= capacity) & (level < n_levels)
    return tl.min(tl.where(fits, level, n_levels - 1), 0)


@triton.jit
def copy_regions(cells, regions, words, n, BLOCK: tl.constexpr):
    """Write `regions`: the cells (without any one region, 0), −1 for padding."""
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        region = tl.zeros([BLOCK], tl.int64)
        if cells is not None:
            region = tl.load(cells + i, mask=i < n, other=0)
        valid = has(tl.load(words + i, mask=i < n, other=0), VALID)
        tl.store(regions + i, tl.where(valid, region, -1), mask=i < n)


@triton.jit
def number_by_first_token(label, words, first, number, regions, n, BLOCK: tl.constexpr):
    """Write `regions`: clusters numbered from 0 in the order of their first token, −1 for padding."""
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        tl.store(first + i, n, mask=i < n)
    tl.debug_barrier()
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        tl.atomic_min(first + tl.load(label + i, mask=i < n, other=0), i, mask=i < n, sem="relaxed")
    tl.debug_barrier()
    before = 0
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        valid = has(tl.load(words + i, mask=i < n, other=0), VALID)
        own = tl.load(label + i, mask=i < n, other=0)
        opens = (valid & (tl.load(first + own, mask=i < n, other=-1) == i)).to(tl.int32)
        tl.store(number + i, before + tl.cumsum(opens, 0) - 1, mask=i < n)
        before += tl.sum(opens, 0)
    tl.debug_barrier()
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        valid = has(tl.load(words + i, mask=i < n, other=0), VALID)
        own = tl.load(first + tl.load(label + i, mask=i < n, other=0), mask=i < n, other=0)
        region = tl.load(number + own, mask=valid, other=0)
        tl.store(regions + i, tl.where(valid, region, -1).to(tl.int64), mask=i < n)


@triton.jit
def reserve(keys, region, best, words, n, BLOCK: tl.constexpr):
    """Mark pinned tokens and the best token of every region as reserved in `keys`; returns how many there are.

    A region never mixes pinned and other tokens unless there is just one region, the whole image (`region` is None);
    that one is covered by any pinned token, and its best token is kept anyway when there is none.
    """
    if region is not None:
        for start in range(0, n, BLOCK):
            i = start + tl.arange(0, BLOCK)
            tl.store(best + i, -1, mask=i < n)
        tl.debug_barrier()
        for start in range(0, n, BLOCK):
            i = start + tl.arange(0, BLOCK)
            key = tl.load(keys + i, mask=i < n, other=NEVER)
            own = tl.load(region + i, mask=key >= 0, other=0)
            tl.atomic_max(best + own, _unique(key, i, n), mask=key >= 0, sem="relaxed")
        tl.debug_barrier()
    reserved_count = 0
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        key = tl.load(keys + i, mask=i < n, other=NEVER)
        reserved = has(tl.load(words + i, mask=i < n, other=0), PINNED)
        if region is not None:
            own = tl.load(region + i, mask=key >= 0, other=0)
            wins = tl.load(best + own, mask=key >= 0, other=-1) == _unique(key, i, n)
            reserved = reserved | ((key >= 0) & wins)
        # Several threads may hold one token; all must have read its key before one of them writes it.
        tl.debug_barrier()
        tl.store(keys + i, tl.where(reserved, RESERVED, key), mask=i < n)
        reserved_count += tl.sum(reserved.to(tl.int32), 0)
    tl.debug_barrier()
    return reserved_count


@triton.jit
def _unique(key, i, n):
    """A larger score is larger; of equal scores the lower index is."""
    return (key.to(tl.int64) << 32) | (n - 1 - i).to(tl.int64)
