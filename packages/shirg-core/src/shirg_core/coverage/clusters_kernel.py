"""Clusters by Borůvka rounds, one program per view: no edge, and so no cluster, ever crosses a view.

The reference ranks all edges once by sorting. Here an edge's rank is a 64-bit integer that needs no sort,

    key(a, b) = (cosine, descending) << 32 | 2·a + [b lies below a]        a < b

unique, and ordered as promised: larger cosine, then smaller lower endpoint, then smaller upper endpoint. A round is

    1. best[root] = min of the keys of the edges that leave its cluster           (atomic minimum)
    2. a root hooks onto the cluster across its best edge; of two that chose the same edge the smaller stays a root
    3. every token finds its new root by pointer doubling, until nothing moves

Two clusters chose each other exactly when their best keys are equal, so hooks form trees and step 3 ends. All levels
are kept together with their cluster counts per view; which level an image uses depends on all its views and is decided
where the counts are read (`selection.rank_kernel`).

| symbol | variable    | shape                                              |
|--------|-------------|----------------------------------------------------|
| –      | right, below | `[B, N]` cosine with the right and lower neighbour |
| –      | levels      | `[B, rounds + 1, N]` int32, root of each token     |
| –      | counts      | `[B, rounds + 1, V]` int32, clusters               |
| –      | extents     | `[B, 2, V, 2]` minimum and maximum of components   |
"""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

import triton
import triton.language as tl

from shirg_core.kernels.geometry import ABOVE, BELOW, LEFT, RIGHT, VALID, has
from shirg_core.scores.normalize_kernel import store_extent

NO_EDGE = tl.constexpr(0x7FFFFFFFFFFFFFFF)


# A value that differs between calls on one layout must not compile anew: a graph's capture could not wait for it.
@triton.jit(do_not_specialize=("rounds",))
def boruvka_kernel(
    right, below, words, views, levels, counts, best, parent, spare, view_a, view_b, extents, n, rounds,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Program (view, image). As the only launch with a program per view it measures per-view components as well."""
    view, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    first, length, width = tl.load(views + 4 * view), tl.load(views + 4 * view + 1), tl.load(views + 4 * view + 2)
    stop = first + length
    at = 2 * (2 * b * tl.num_programs(0) + view)
    if view_a is not None:
        store_extent(view_a + b * n, extents + at, words, first, stop, BLOCK)
    if view_b is not None:
        store_extent(view_b + b * n, extents + at + 2 * tl.num_programs(0), words, first, stop, BLOCK)
    right, below, best, parent, spare = right + b * n, below + b * n, best + b * n, parent + b * n, spare + b * n
    label, count = levels + b * (rounds + 1) * n, counts + b * (rounds + 1) * tl.num_programs(0) + view
    _next_level(None, None, label, words, count, first, stop, BLOCK)
    for _ in range(rounds):
        _best_edges(label, best, right, below, words, first, stop, width, BLOCK)
        _hook(label, best, parent, first, stop, width, BLOCK)
        _flatten(parent, spare, first, stop, BLOCK)
        before, label, count = label, label + n, count + tl.num_programs(0)
        _next_level(parent, before, label, words, count, first, stop, BLOCK)


@triton.jit
def _next_level(parent, before, label, words, count, first, stop, BLOCK: tl.constexpr):
    """Write a level (the tokens themselves, or the clusters of the level before, merged) and its number of clusters."""
    roots = 0
    for start in range(first, stop, BLOCK):
        i = start + tl.arange(0, BLOCK)
        root = i
        if parent is not None:
            root = tl.load(parent + tl.load(before + i, mask=i < stop, other=0), mask=i < stop, other=0)
        tl.store(label + i, root, mask=i < stop)
        is_root = has(tl.load(words + i, mask=i < stop, other=0), VALID) & (root == i)
        roots += tl.sum(is_root.to(tl.int32), 0)
    tl.store(count, roots)


@triton.jit
def _key(cosine, lower, is_below: tl.constexpr, mask):
    """Rank of the edge that `lower` owns; `NO_EDGE` where masked."""
    value = tl.load(cosine + lower, mask=mask, other=0.0)
    value = tl.where(value == 0.0, 0.0, value)  # −0 equals 0
    bits = value.to(tl.int32, bitcast=True)
    ascending = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    key = ((~ascending).to(tl.int64) << 32) | (2 * lower + is_below).to(tl.int64)
    return tl.where(mask, key, NO_EDGE)


@triton.jit
def _best_edges(label, best, right, below, words, first, stop, width, BLOCK: tl.constexpr):
    for start in range(first, stop, BLOCK):
        i = start + tl.arange(0, BLOCK)
        tl.store(best + i, NO_EDGE, mask=i < stop)
    tl.debug_barrier()
    for start in range(first, stop, BLOCK):
        i = start + tl.arange(0, BLOCK)
        word = tl.load(words + i, mask=i < stop, other=0)
        own = tl.load(label + i, mask=i < stop, other=0)
        to_right, to_below, to_left, to_above = has(word, RIGHT), has(word, BELOW), has(word, LEFT), has(word, ABOVE)
        to_right = to_right & (tl.load(label + i + 1, mask=to_right, other=0) != own)
        to_below = to_below & (tl.load(label + i + width, mask=to_below, other=0) != own)
        to_left = to_left & (tl.load(label + i - 1, mask=to_left, other=0) != own)
        to_above = to_above & (tl.load(label + i - width, mask=to_above, other=0) != own)
        sideways = tl.minimum(_key(right, i, 0, to_right), _key(right, i - 1, 0, to_left))
        key = tl.minimum(sideways, tl.minimum(_key(below, i, 1, to_below), _key(below, i - width, 1, to_above)))
        tl.atomic_min(best + own, key, mask=key != NO_EDGE, sem="relaxed")
    tl.debug_barrier()


@triton.jit
def _hook(label, best, parent, first, stop, width, BLOCK: tl.constexpr):
    for start in range(first, stop, BLOCK):
        i = start + tl.arange(0, BLOCK)
        key = tl.load(best + i, mask=i < stop, other=NO_EDGE)
        moves = key != NO_EDGE  # only roots were written to
        edge = (key & 0x7FFFFFFF).to(tl.int32)
        lower = edge >> 1
        upper = lower + tl.where((edge & 1) == 1, width, 1)
        across = tl.load(label + lower, mask=moves, other=0) + tl.load(label + upper, mask=moves, other=0) - i
        mutual = moves & (tl.load(best + across, mask=moves, other=0) == key)
        moves = moves & ~(mutual & (i < across))
        tl.store(parent + i, tl.where(moves, across, i), mask=i < stop)
    tl.debug_barrier()


@triton.jit
def _flatten(parent, spare, first, stop, BLOCK: tl.constexpr):
    """Pointer doubling between two buffers, two doublings a turn, until every token points at a root."""
    moved = 1
    while moved > 0:
        moved = _double(parent, spare, first, stop, BLOCK)
        moved = _double(spare, parent, first, stop, BLOCK)


@triton.jit
def _double(source, target, first, stop, BLOCK: tl.constexpr):
    moved = 0
    for start in range(first, stop, BLOCK):
        i = start + tl.arange(0, BLOCK)
        near = tl.load(source + i, mask=i < stop, other=0)
        far = tl.load(source + near, mask=i < stop, other=0)
        tl.store(target + i, far, mask=i < stop)
        moved += tl.sum((far != near).to(tl.int32), 0)
    tl.debug_barrier()
    return moved
