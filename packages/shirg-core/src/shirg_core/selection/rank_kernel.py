"""From components to indices in one launch, one program per image.

    1. attention      A from its partial sums                                                   (v3)
    2. extents        minimum and maximum of every component, per view or per image; to saturate, its mean
    3. score          s = Σ_c w_c·ĉ, rounded to the 2⁻¹⁶ grid; its integer key ranks tokens
    4. regions        the clustering level that fits, and its numbering                         (clusters)
    5. reserve        pinned tokens and the best token of every region
    6. choose         threshold on the keys, compaction to ascending indices

Stages hand over through global memory that stays in the multiprocessor's cache; each ends with a barrier. Arithmetic
follows the reference step by step without fused multiply–adds: equal components give equal scores, bit for bit.
"""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

import triton
import triton.language as tl

from shirg_core.coverage.regions_kernel import NEVER, copy_regions, fitting_level, number_by_first_token, reserve
from shirg_core.kernels.geometry import VALID, has
from shirg_core.kernels.numerics import round_half_even
from shirg_core.scores.combine import SCORE_GRID
from shirg_core.scores.exponentials_kernel import sum_parts
from shirg_core.scores.normalize_kernel import measure, rescaled, store_measure
from shirg_core.selection.choose_kernel import compact, threshold

GRID = tl.constexpr(float(SCORE_GRID))
# Each of these would double the variants to compile, and none of them would make a faster kernel.
PLAIN = ("n_parts", "places", "n_keys", "n_views", "n_levels", "most", "capacity", "k")


@triton.jit(do_not_specialize=PLAIN)
def rank_kernel(
    attention, view_a, view_b, ready_a, image_a, image_b, ready_b,
    weight_attention, weight_view_a, weight_view_b, weight_ready_a, weight_image_a, weight_image_b,
    weight_ready_b, attention_stride, image_a_stride, image_b_stride, attention_offset,
    parts, deviation, received, position, n_parts, places, n_keys,
    words, views, view_ids, extents, n_views,
    cells, levels, counts, n_levels, most, capacity,
    weights, weights_stride,
    scores, regions, slot, indices, dropped_weight, keys, best, first, number,
    n, k,
    SATURATE: tl.constexpr, HAS_PADDING: tl.constexpr, INTEGER_KEYS: tl.constexpr, TURNS: tl.constexpr,
    ONE_CHUNK: tl.constexpr, BLOCK: tl.constexpr,
    VIEW_BLOCK: tl.constexpr, TOKEN_BLOCK: tl.constexpr, LEVEL_BLOCK: tl.constexpr,
):  # fmt: skip
    """Program (image)."""
    b = tl.program_id(0).to(tl.int64)
    row = b * n
    scores, slot, keys, best, indices = scores + row, slot + row, keys + row, best + row, indices + b * k
    if parts is not None:
        parts += b * n_parts * places
        finish_attention(parts, deviation + row, received + row, position, words, n_parts, places, n_keys, n, BLOCK)
    attention_low, attention_high, image_a_low, image_a_high, image_b_low, image_b_high = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if attention is not None:
        attention += b * attention_stride
        attention_low, attention_high = measure(attention, words, 0, n, SATURATE, BLOCK)
    if image_a is not None:
        image_a += b * image_a_stride
        image_a_low, image_a_high = measure(image_a, words, 0, n, SATURATE, BLOCK)
    if image_b is not None:
        image_b += b * image_b_stride
        image_b_low, image_b_high = measure(image_b, words, 0, n, SATURATE, BLOCK)
    extents_a, extents_b = extents + b * 4 * n_views, extents + b * 4 * n_views + 2 * n_views
    if view_a is not None:
        view_a += row
    if view_b is not None:
        view_b += row
    if SATURATE or levels is None:  # else the clustering has measured them
        for view in range(n_views):
            start = tl.load(views + 4 * view)
            stop = start + tl.load(views + 4 * view + 1)
            if view_a is not None:
                store_measure(view_a, extents_a + 2 * view, words, start, stop, SATURATE, TOKEN_BLOCK)
            if view_b is not None:
                store_measure(view_b, extents_b + 2 * view, words, start, stop, SATURATE, TOKEN_BLOCK)
    tl.debug_barrier()

    lowest = float("inf")
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        valid = has(tl.load(words + i, mask=i < n, other=0), VALID)
        total = tl.zeros([BLOCK], tl.float32)
        if attention is not None:
            x = tl.load(attention + i, mask=valid, other=0.0).to(tl.float32)
            total += weight_attention * rescaled(x, attention_low, attention_high, attention_offset, SATURATE)
        if view_a is not None:
            total += weight_view_a * _scaled_in_view(view_a, extents_a, view_ids, i, valid, SATURATE)
        if view_b is not None:
            total += weight_view_b * _scaled_in_view(view_b, extents_b, view_ids, i, valid, SATURATE)
        if ready_a is not None:
            total += weight_ready_a * tl.load(ready_a + row + i, mask=valid, other=0.0)
        if image_a is not None:
            x = tl.load(image_a + i, mask=valid, other=0.0).to(tl.float32)
            total += weight_image_a * rescaled(x, image_a_low, image_a_high, 0.0, SATURATE)
        if image_b is not None:
            x = tl.load(image_b + i, mask=valid, other=0.0).to(tl.float32)
            total += weight_image_b * rescaled(x, image_b_low, image_b_high, 0.0, SATURATE)
        if ready_b is not None:
            total += weight_ready_b * tl.load(ready_b + row + i, mask=valid, other=0.0)
        # NaN is no key, and what lanes past the end hold may not fit one.
        on_grid = round_half_even(tl.where(valid & (total == total), total, 0.0) * GRID)
        score = on_grid / GRID
        key = on_grid.to(tl.int32) if INTEGER_KEYS else tl.maximum(score.to(tl.int32, bitcast=True), 0)
        tl.store(scores + i, score, mask=valid)
        tl.store(keys + i, tl.where(valid, key, NEVER), mask=i < n)
        lowest = tl.minimum(lowest, tl.min(tl.where(valid, score, float("inf")), 0))
    if HAS_PADDING:
        for start in range(0, n, BLOCK):
            i = start + tl.arange(0, BLOCK)
            valid = has(tl.load(words + i, mask=i < n, other=VALID), VALID)
            tl.store(scores + i, tl.zeros([BLOCK], tl.float32) + lowest, mask=~valid)
    tl.debug_barrier()

    if levels is not None:
        at = counts + b * n_levels * n_views
        level = fitting_level(at, views, n_levels, n_views, most, capacity, LEVEL_BLOCK, VIEW_BLOCK)
        label = levels + (b * n_levels + level) * n
        number_by_first_token(label, words, first + row, number + row, regions + row, n, BLOCK)
        reserved = reserve(keys, label, best, words, n, BLOCK)
    else:
        copy_regions(cells, regions + row, words, n, BLOCK)
        reserved = reserve(keys, cells, best, words, n, BLOCK)
    need = k - reserved
    bar, larger = threshold(keys, n, tl.maximum(need, 1), TURNS, BLOCK)
    if weights is not None:
        weights += b * weights_stride
    tl.store(dropped_weight + b, compact(keys, weights, words, indices, slot, n, bar, need - larger, ONE_CHUNK, BLOCK))


@triton.jit
def finish_attention(parts, deviation, received, position, words, n_parts, places, n_keys, n, BLOCK: tl.constexpr):
    """n·A − 1 from its parts, and A; 0 for padding."""
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        valid = has(tl.load(words + i, mask=i < n, other=0), VALID)
        place = i
        if position is not None:
            place = tl.load(position + i, mask=valid, other=0)
        total = sum_parts(parts, n_parts, places, place, valid, BLOCK)
        tl.store(deviation + i, total, mask=i < n)
        total = tl.where(valid, 1.0 + total, 0.0)
        tl.store(received + i, tl.div_rn(total, tl.zeros([BLOCK], tl.float32) + n_keys), mask=i < n)
    tl.debug_barrier()


@triton.jit
def _scaled_in_view(values, extents, view_ids, i, valid, SATURATE: tl.constexpr):
    view = tl.load(view_ids + i, mask=valid, other=0)
    x = tl.load(values + i, mask=valid, other=0.0)
    return rescaled(x, tl.load(extents + 2 * view), tl.load(extents + 2 * view + 1), 0.0, SATURATE)
