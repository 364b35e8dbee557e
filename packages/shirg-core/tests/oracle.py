"""A second, slow implementation of SHIRG in NumPy float64 loops, written from the specification alone.

Nothing here is shared with `shirg_core` but the layout's plain fields (`h`, `w`, `valid`, `pinned`). One image at a
time, one token at a time: whatever this says is what the fast code has to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np

GRID = 2.0**-16
CONSTANT = 1e-5


@dataclass(frozen=True)
class OracleSelection:
    """What one image must come out as; `summary` is None when nothing was dropped or none is wanted."""

    indices: list[int]
    scores: np.ndarray
    regions: list[int]
    summary: np.ndarray | None


# --- geometry ------------------------------------------------------------------------------------------------------


def token_views(layout) -> list[int]:
    return [v for v, view in enumerate(layout.views) for _ in range(view.h * view.w)]


def valid_tokens(layout) -> list[bool]:
    valid: list[bool] = []
    for view in layout.views:
        valid += [True] * (view.h * view.w) if view.valid is None else [bool(x) for x in np.ravel(view.valid)]
    return valid


def pinned_tokens(layout) -> list[bool]:
    views = token_views(layout)
    return [ok and layout.views[v].pinned for ok, v in zip(valid_tokens(layout), views, strict=True)]


def neighbours(layout) -> list[tuple[int, int]]:
    """Edges (lower, upper) of the 4-neighbour grid graph between valid tokens of one view."""
    valid, edges, start = valid_tokens(layout), [], 0
    for view in layout.views:
        for r in range(view.h):
            for c in range(view.w):
                here = start + r * view.w + c
                if c + 1 < view.w and valid[here] and valid[here + 1]:
                    edges.append((here, here + 1))
                if r + 1 < view.h and valid[here] and valid[here + view.w]:
                    edges.append((here, here + view.w))
        start += view.h * view.w
    return edges


def budget_of(budget, layout) -> int:
    selectable = sum(valid_tokens(layout))
    return max(1, round(budget * selectable)) if isinstance(budget, float) else budget


# --- components ----------------------------------------------------------------------------------------------------


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / length) if length > 0 else 0.0


def variance(x: np.ndarray) -> np.ndarray:
    return np.array([np.mean((v - v.mean()) ** 2) for v in x])


def magnitude(x: np.ndarray) -> np.ndarray:
    return np.array([np.sqrt(np.sum(v * v)) for v in x])


def relevance(x: np.ndarray, text: np.ndarray, text_mask) -> np.ndarray:
    words = [t for t, real in zip(text, text_mask, strict=True) if real]
    return np.array([max(cosine(v, t) for t in words) for v in x])


def attention_received(x: np.ndarray, layout, temperature: float) -> np.ndarray:
    """`A_i = mean_j softmax_i(cos(v_j, v_i) / τ)`, queries j and keys i over the valid tokens; 0 for padding."""
    keys = [i for i, ok in enumerate(valid_tokens(layout)) if ok]
    received = np.zeros(len(x))
    for j in keys:
        logits = np.array([cosine(x[j], x[i]) for i in keys]) / temperature
        weights = np.exp(logits - logits.max())
        received[keys] += weights / weights.sum() / len(keys)
    return received


def gradient(x: np.ndarray, layout) -> np.ndarray:
    """Central differences; one-sided where a neighbour is missing (view border or padding), 0 where both are."""
    valid, out, start = valid_tokens(layout), np.zeros(len(x)), 0
    for view in layout.views:

        def token(r, c, view=view, start=start):
            inside = 0 <= r < view.h and 0 <= c < view.w
            return x[start + r * view.w + c] if inside and valid[start + r * view.w + c] else None

        def slope(before, here, after):
            if before is not None and after is not None:
                return (after - before) / 2
            if after is not None:
                return after - here
            return here - before if before is not None else np.zeros_like(here)

        for r in range(view.h):
            for c in range(view.w):
                here = token(r, c)
                if here is not None:
                    by_row = slope(token(r - 1, c), here, token(r + 1, c))
                    by_col = slope(token(r, c - 1), here, token(r, c + 1))
                    out[start + r * view.w + c] = np.sqrt(np.sum(by_row**2) + np.sum(by_col**2))
        start += view.h * view.w
    return out


def normalise(values: np.ndarray, groups: list[int], valid: list[bool]) -> np.ndarray:
    """Min–max to [0, 1] inside every group of valid tokens; constant groups and padding → 0."""
    out = np.zeros(len(values))
    for group in set(groups):
        members = [i for i, g in enumerate(groups) if g == group and valid[i]]
        if not members:
            continue
        part = np.asarray(values, dtype=np.float64)[members]
        low, high = part.min(), part.max()
        if high - low > CONSTANT * np.abs(part).max():
            out[members] = (part - low) / (high - low)
    return out


def noise(values: np.ndarray, groups: list[int], valid: list[bool], relative_error: float = 3e-6) -> float:
    """How far min–max normalisation stretches float32 rounding noise of `values`: error · max|x| / range, worst group.

    Infinite where a range is so near the constant rule's limit that rounding decides.
    """
    worst = 0.0
    for group in set(groups):
        part = np.array([v for v, g, ok in zip(values, groups, valid, strict=True) if g == group and ok])
        if part.size and np.abs(part).max() > 0:
            relative = np.ptp(part) / np.abs(part).max()
            if CONSTANT / 2 < relative < CONSTANT * 2:
                return float("inf")
            if relative > CONSTANT:
                worst = max(worst, relative_error / relative)
    return worst


def finish_score(score: np.ndarray, valid: list[bool]) -> np.ndarray:
    """Round to the 2⁻¹⁶ grid; padding reports the minimum over the valid tokens."""
    score = np.round(score / GRID) * GRID
    return np.where(valid, score, score[np.array(valid)].min())


# --- coverage ------------------------------------------------------------------------------------------------------


def target_regions(layout, budget: int, share: float) -> int:
    return max(len(layout.views), floor(share * budget))


def needed_tokens(regions: list[int], layout) -> int:
    """Pinned tokens, and one more for every region without a pinned token."""
    pinned = pinned_tokens(layout)
    covered = {r for r, is_pinned in zip(regions, pinned, strict=True) if is_pinned}
    return sum(pinned) + len({r for r in regions if r >= 0} - covered)


def cell_regions(layout, budget: int, share: float) -> list[int]:
    """API.md's formula; where pinned tokens leave no room for so many regions, the next side that fits."""
    valid = valid_tokens(layout)
    for side in range(1, max(max(v.h, v.w) for v in layout.views) + 1):
        cells = sum(ceil(v.h / side) * ceil(v.w / side) for v in layout.views)
        keys = [
            (v, r // side, c // side)
            for v, view in enumerate(layout.views)
            for r in range(view.h)
            for c in range(view.w)
        ]
        number: dict[tuple[int, int, int], int] = {}
        regions = [number.setdefault(key, len(number)) if ok else -1 for key, ok in zip(keys, valid, strict=True)]
        if cells <= target_regions(layout, budget, share) and needed_tokens(regions, layout) <= budget:
            return regions
    raise ValueError(f"{budget} < {needed_tokens(regions, layout)}")


def boruvka_levels(layout, similarity: list[float]):
    """Yield the clusters (lists of tokens) before the first round, then after every round that changed something.

    `similarity` belongs to `neighbours(layout)`, in that order.
    """
    edges = [(cos, a, b) for cos, (a, b) in zip(similarity, neighbours(layout), strict=True)]
    clusters = [[i] for i, ok in enumerate(valid_tokens(layout)) if ok]
    while True:
        yield clusters
        of = {i: c for c, cluster in enumerate(clusters) for i in cluster}
        joins = []
        for c in range(len(clusters)):
            leaving = [e for e in edges if (of[e[1]] == c) != (of[e[2]] == c)]
            if leaving:
                _, a, b = min(leaving, key=lambda e: (-e[0], e[1], e[2]))
                joins.append((of[a], of[b]))
        if not joins:
            return
        group = list(range(len(clusters)))
        for a, b in joins:
            old, new = group[b], group[a]
            group = [new if g == old else g for g in group]
        clusters = [
            sorted(i for c, cluster in enumerate(clusters) if group[c] == g for i in cluster)
            for g in sorted(set(group))
        ]


def cluster_regions(layout, budget: int, share: float, similarity: list[float]) -> list[int]:
    """The finest level with at most `max(views, ⌊share · K⌋)` clusters that K has room for beside the pinned tokens.

    Where disconnected valid areas forbid so few clusters, the coarsest level.
    """
    regions: list[int] = []
    for clusters in boruvka_levels(layout, similarity):
        of = {i: c for c, cluster in enumerate(clusters) for i in cluster}
        regions = [of.get(i, -1) for i in range(layout.n_tokens)]
        if len(clusters) <= target_regions(layout, budget, share) and needed_tokens(regions, layout) <= budget:
            break
    if needed_tokens(regions, layout) > budget:
        raise ValueError(f"{budget} < {needed_tokens(regions, layout)}")
    return regions


def areas(layout) -> list[list[int]]:
    """Connected areas of valid tokens: the coarsest clusters there can be."""
    *_, coarsest = boruvka_levels(layout, [0.0] * len(neighbours(layout)))
    return coarsest


def least_budget(layout) -> int:
    """The smallest K for which neither cells nor clusters may raise."""
    of = {i: a for a, area in enumerate(areas(layout)) for i in area}
    return max(1, needed_tokens([of.get(i, -1) for i in range(layout.n_tokens)], layout))


def find_regions(coverage: str, x: np.ndarray, layout, budget: int, share: float) -> list[int]:
    if coverage == "cells":
        return cell_regions(layout, budget, share)
    return cluster_regions(layout, budget, share, [cosine(x[a], x[b]) for a, b in neighbours(layout)])


def renumbered(regions) -> list[int]:
    """Regions numbered by first appearance, so that two partitions compare equal when they are."""
    number: dict[int, int] = {}
    return [-1 if r < 0 else number.setdefault(int(r), len(number)) for r in regions]


# --- choice --------------------------------------------------------------------------------------------------------


def ranking(scores) -> list[int]:
    return sorted(range(len(scores)), key=lambda i: (-scores[i], i))


def choose(scores, regions, layout, budget: int) -> list[int]:
    """Pinned tokens, the best of every region that has none yet, then the global ranking, up to exactly `budget`."""
    valid, pinned = valid_tokens(layout), pinned_tokens(layout)
    if budget > sum(valid):
        raise ValueError(f"{budget} > {sum(valid)}")
    kept = {i for i, is_pinned in enumerate(pinned) if is_pinned}
    order = [i for i in ranking(scores) if valid[i]]
    covered = {regions[i] for i in kept}
    for i in order:
        if regions[i] not in covered:
            covered.add(regions[i])
            kept.add(i)
    if len(kept) > budget:
        raise ValueError(f"{budget} < {len(kept)}")
    for i in order:
        if len(kept) < budget:
            kept.add(i)
    return sorted(kept)


def dropped_tokens(indices: list[int], layout) -> list[int]:
    return [i for i, ok in enumerate(valid_tokens(layout)) if ok and i not in set(indices)]


# --- SHIRG ---------------------------------------------------------------------------------------------------------


def v2_components(x, layout, *, alpha=0.25, beta=0.15, text=None, text_mask=None, edges=None) -> list:
    """`(weight, raw values, groups)` of every component that counts."""
    x, valid, views = np.asarray(x, dtype=np.float64), valid_tokens(layout), token_views(layout)
    x = np.where(np.array(valid)[:, None], x, 0.0)
    image = [0] * len(x)
    parts = [(alpha, variance(x), views)]
    if alpha != 1:
        mask = [True] * len(text) if text_mask is None else text_mask
        parts.append((1 - alpha, relevance(x, np.asarray(text, dtype=np.float64), mask), image))
    if beta != 0:
        parts.append((beta, np.where(valid, np.asarray(edges, dtype=np.float64), 0), image))
    return parts


def v3_components(x, layout, *, weights=(0.6, 0.25, 0.15), temperature=0.1, attention=None) -> list:
    """`(weight, raw values, groups)` of every component."""
    x, valid, views = np.asarray(x, dtype=np.float64), valid_tokens(layout), token_views(layout)
    x = np.where(np.array(valid)[:, None], x, 0.0)
    received = attention_received(x, layout, temperature) if attention is None else np.where(valid, attention, 0.0)
    parts = [(received, [0] * len(x)), (magnitude(x), views), (gradient(x, layout), views)]
    return [(weight, *part) for weight, part in zip(weights, parts, strict=True)]


def total_score(parts: list, layout) -> np.ndarray:
    valid = valid_tokens(layout)
    total = sum(weight * normalise(values, groups, valid) for weight, values, groups in parts)
    return finish_score(total, valid)


def score_tolerance(parts: list, layout) -> float:
    """How far a float32 score may lie from the exact one: one grid step, and the components' stretched noise."""
    valid = valid_tokens(layout)
    return GRID + sum(weight * noise(values, groups, valid) for weight, values, groups in parts)


def v2_score(x, layout, **inputs) -> np.ndarray:
    return total_score(v2_components(x, layout, **inputs), layout)


def v3_score(x, layout, **inputs) -> np.ndarray:
    return total_score(v3_components(x, layout, **inputs), layout)


def shirg_v2(x, layout, budget, *, alpha=0.25, beta=0.15, share=0.5, coverage="clusters", **inputs) -> OracleSelection:
    x = np.where(np.array(valid_tokens(layout))[:, None], np.asarray(x, dtype=np.float64), 0.0)
    k = budget_of(budget, layout)
    scores = v2_score(x, layout, alpha=alpha, beta=beta, **inputs)
    regions = find_regions(coverage, x, layout, k, share)
    indices = choose(scores, regions, layout, k)
    dropped = dropped_tokens(indices, layout)
    return OracleSelection(indices, scores, regions, x[dropped].mean(axis=0) if dropped else None)


def shirg_v3(
    x, layout, budget, *, weights=(0.6, 0.25, 0.15), temperature=0.1, share=0.5, coverage="cells", attention=None
) -> OracleSelection:
    x = np.where(np.array(valid_tokens(layout))[:, None], np.asarray(x, dtype=np.float64), 0.0)
    k = budget_of(budget, layout)
    scores = v3_score(x, layout, weights=weights, temperature=temperature, attention=attention)
    regions = find_regions(coverage, x, layout, k, share)
    indices = choose(scores, regions, layout, k)
    dropped = dropped_tokens(indices, layout)
    raw = attention_received(x, layout, temperature) if attention is None else np.asarray(attention, dtype=np.float64)
    summary = raw[dropped] @ x[dropped] / raw[dropped].sum() if dropped else None
    return OracleSelection(indices, scores, regions, summary)
