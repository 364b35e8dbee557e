"""SHIRG-v2 and SHIRG-v3 as five and six launches; the meaning is `reference`'s.

    v3:  statistics → attention sums, in two launches → attention → ranking → gather + summary
    v2:  statistics → relevance → clusters → ranking → gather + summary

What a configuration does not use is not launched. Nothing here waits for the device, and every shape follows from the
layout and K, so a call can be captured in a CUDA graph once its kernels are compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from shirg_core.budget import kept_tokens
from shirg_core.coverage import cell_regions
from shirg_core.kernels.assemble import Choice, gather_and_summarise
from shirg_core.kernels.attention import deviation_parts
from shirg_core.kernels.boruvka import cluster_levels
from shirg_core.kernels.geometry import Geometry, geometry
from shirg_core.kernels.numerics import check_batch, on_device, unit_stride
from shirg_core.kernels.points import new_points
from shirg_core.kernels.ranking import AttentionParts, Component, Components, rank
from shirg_core.kernels.relevance import relevance
from shirg_core.kernels.statistics import Statistics, token_statistics
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection

if TYPE_CHECKING:
    from shirg_core.presets import ShirgV2, ShirgV3


def select_v2(
    config: ShirgV2,
    features: Tensor,
    layout: ViewLayout,
    *,
    text: Tensor | None,
    text_mask: Tensor | None,
    edges: Tensor | None,
    attention: Tensor | None,
) -> Selection:
    """SHIRG-v2 on validated inputs; shapes as in `Selector`."""
    check_batch(features)
    k = kept_tokens(config.budget, layout)
    with torch.no_grad(), on_device(features):
        tokens, geo = unit_stride(features.detach()), geometry(layout, features.device)
        words = unit_stride(text.detach()) if text is not None and config.relevance_weight > 0 else None
        stats = token_statistics(
            tokens, geo, variance=config.alpha > 0, cosine=config.coverage == "clusters", text=words
        )
        similarity = None
        if words is not None and stats.text_norm is not None:
            similarity = relevance(tokens, stats.norm, words, stats.text_norm, text_mask)
        components = Components(
            view_a=_component(config.alpha, stats.variance),
            image_a=_component(config.relevance_weight, similarity),
            image_b=_component(config.beta, None if edges is None else edges.detach()),
        )
    return _select(config, features, layout, geo, k, stats, components, weights=attention)


def select_v3(config: ShirgV3, features: Tensor, layout: ViewLayout, *, attention: Tensor | None) -> Selection:
    """SHIRG-v3 on validated inputs; shapes as in `Selector`."""
    check_batch(features)
    k = kept_tokens(config.budget, layout)
    parts, scored = None, attention
    with torch.no_grad(), on_device(features):
        tokens, geo = unit_stride(features.detach()), geometry(layout, features.device)
        wanted = attention is None and config.needs_attention
        points = new_points(tokens, layout.n_selectable) if wanted else None
        stats = token_statistics(
            tokens, geo,
            gradient=config.gradient_weight > 0, cosine=config.coverage == "clusters",
            points=points, temperature=config.temperature,
        )  # fmt: skip
        if points is not None:
            parts = AttentionParts(deviation_parts(points), torch.empty_like(stats.norm), torch.empty_like(stats.norm))
            attention, scored = parts.attention, parts.deviation
        # A that is given is scaled as it is; one that is computed, by its deviation from flatness.
        offset = 0.0 if scored is attention else 1.0
        components = Components(
            attention=_component(config.attention_weight, scored, offset),
            view_a=_component(config.magnitude_weight, stats.norm),
            view_b=_component(config.gradient_weight, stats.gradient),
        )
    return _select(config, features, layout, geo, k, stats, components, weights=attention, parts=parts)


def _component(weight: float, values: Tensor | None, offset: float = 0.0) -> Component | None:
    return Component(weight, values, offset) if weight > 0 and values is not None else None


def _select(
    config: ShirgV2 | ShirgV3,
    features: Tensor,
    layout: ViewLayout,
    geo: Geometry,
    k: int,
    stats: Statistics,
    components: Components,
    *,
    weights: Tensor | None,
    parts: AttentionParts | None = None,
) -> Selection:
    """Rank, gather and summarise: the second half of both presets."""
    cells = clusters = None
    weights = weights.detach() if weights is not None and config.summary == "attention" else None
    with torch.no_grad(), on_device(features):
        if config.coverage == "cells":
            cells = cell_regions(layout, k, config.coverage_share, features.device)
        elif config.coverage == "clusters" and stats.right is not None and stats.below is not None:
            per_view = components.view_a, components.view_b
            measured = [None if c is None else c.values for c in per_view]
            clusters = cluster_levels(stats.right, stats.below, geo, layout, k, config.coverage_share, *measured)
        ranking = rank(
            components, geo, layout, k,
            parts=parts, cells=cells, clusters=clusters, weights=weights, batch=features.shape[0],
        )  # fmt: skip
    choice = Choice(ranking.indices, ranking.slot, ranking.dropped_weight, geo.tokens, layout.n_selectable - k)
    with on_device(features):
        kept, token = gather_and_summarise(features, choice, weights, summary=config.summary != "none")
    return Selection(ranking.indices, ranking.scores, ranking.regions, kept, token)
