"""From components to indices: what the ranking kernel is given, and what comes back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shirg_core.coverage.clusters_launch import Levels
from shirg_core.kernels.configs import rank_options
from shirg_core.kernels.geometry import Geometry
from shirg_core.kernels.numerics import power_of_two, unit_stride
from shirg_core.layout import ViewLayout
from shirg_core.scores.combine import SCORE_GRID
from shirg_core.selection.choose_kernel import DIGIT
from shirg_core.selection.rank_kernel import rank_kernel

FEWEST_TOKENS, MOST_TOKENS = 128, 4096


class Component(NamedTuple):
    """A weight, and raw values `[B, N]` less an offset, by which only attention's differ."""

    weight: float
    values: Tensor
    offset: float = 0.0


class Components(NamedTuple):
    """The components of a score in the order in which the reference adds them; None = absent.

    `ready_a` and `ready_b` (contiguous) are in [0, 1] already and count as they are.
    """

    attention: Component | None = None
    view_a: Component | None = None
    view_b: Component | None = None
    ready_a: Component | None = None
    image_a: Component | None = None
    image_b: Component | None = None
    ready_b: Component | None = None


class Ranking(NamedTuple):
    """`indices [B, K]` int64, `scores [B, N]`, `slot [B, N]` int32, `dropped_weight [B]`, `regions [B, N]` int64."""

    indices: Tensor
    scores: Tensor
    slot: Tensor
    dropped_weight: Tensor
    regions: Tensor


class AttentionParts(NamedTuple):
    """Partial sums `[B, T, places]` of n·A − 1, and where A and n·A − 1 go, `[B, N]` each."""

    parts: Tensor
    attention: Tensor
    deviation: Tensor


def rank(
    components: Components,
    geo: Geometry,
    layout: ViewLayout,
    k: int,
    *,
    saturate: bool = False,
    parts: AttentionParts | None = None,
    cells: Tensor | None = None,
    clusters: Levels | None = None,
    weights: Tensor | None = None,
    batch: int,
) -> Ranking:
    """Launch the kernel.

    Args:
        components: what the score is made of; `attention` and `image_*` per image, `view_*` (contiguous) per view.
        geo: the layout's constants.
        layout: geometry of the N tokens.
        k: K.
        saturate: scale components by `saturate`, not by `minmax`.
        parts: attention to finish first.
        cells: `[N]` region of every token, or
        clusters: levels to choose from, with the extents of `view_*`, or neither: one region.
        weights: `[B, N]` whose sum over the dropped tokens the summary needs.
        batch: B.
    """
    n, device = layout.n_tokens, geo.tokens.device
    out = Ranking(
        torch.empty(batch, k, dtype=torch.int64, device=device),
        torch.empty(batch, n, dtype=torch.float32, device=device),
        torch.empty(batch, n, dtype=torch.int32, device=device),
        torch.empty(batch, dtype=torch.float32, device=device),
        torch.empty(batch, n, dtype=torch.int64, device=device),
    )
    n_views = len(layout.views)
    best = torch.empty(batch, n, dtype=torch.int64, device=device)
    # Not slices of one tensor: those would be aligned for some batch sizes only, and alignment is compiled in.
    keys, first, number = (torch.empty(batch, n, dtype=torch.int32, device=device) for _ in range(3))
    extents = (
        clusters.extents
        if clusters is not None and not saturate
        else torch.empty(batch, 2, n_views, 2, dtype=torch.float32, device=device)
    )
    block = max(FEWEST_TOKENS, power_of_two(n, MOST_TOKENS))
    longest = max(v.n_tokens for v in layout.views)
    turns, integer_keys = _search(components)
    slots = [c if c is None else unit_stride(c.values) for c in components]
    strides = [0 if values is None else values.stride(0) for values in slots]
    amounts = [0.0 if c is None else float(c.weight) for c in components]
    # Where n·A − 1 is scaled in place of A, whether it varies is still judged by the size of n·A.
    offset = 0.0 if components.attention is None else components.attention.offset
    dense_weights = None if weights is None else unit_stride(weights)
    rank_kernel[(batch,)](
        *slots, *amounts, strides[0], strides[4], strides[5], offset,
        *((None, None, None) if parts is None else (parts.parts, parts.deviation, parts.attention)), geo.position,
        *((0, 0) if parts is None else parts.parts.shape[1:]), layout.n_selectable,
        geo.tokens, geo.views, geo.view_ids, extents, n_views,
        cells, *((None, None, 0, 0, 0) if clusters is None else
                 (clusters.levels, clusters.counts, clusters.levels.shape[1], clusters.most, clusters.capacity)),
        dense_weights, 0 if dense_weights is None else dense_weights.stride(0),
        out.scores, out.regions, out.slot, out.indices, out.dropped_weight, keys, best, first, number,
        n, k, SATURATE=saturate, HAS_PADDING=layout.has_padding, INTEGER_KEYS=integer_keys, TURNS=turns,
        ONE_CHUNK=n <= block, BLOCK=block,
        VIEW_BLOCK=power_of_two(n_views, 8), TOKEN_BLOCK=max(FEWEST_TOKENS, power_of_two(longest, MOST_TOKENS)),
        LEVEL_BLOCK=32, **rank_options(block),
    )  # fmt: skip
    return out


def _search(components: Components) -> tuple[int, bool]:
    """How many turns of `choose_kernel.threshold` span all keys, and whether the score's grid number itself is the key.

    Grid numbers are short, which makes for few turns; huge weights outgrow int32, and then the bits of the score as a
    float, which rank alike because no score is negative, take their place.
    """
    highest = int(sum(c.weight for c in components if c is not None) * SCORE_GRID * (1 + 1e-5)) + 2
    bits = highest.bit_length()
    return (-(-bits // DIGIT.value), True) if bits <= 28 else (-(-32 // DIGIT.value), False)
