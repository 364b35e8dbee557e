"""SHIRG-v2 and SHIRG-v3 as five launches each; the meaning is `reference`'s.

    v3:  statistics → attention rows → attention columns → ranking → gather + summary
    v2:  statistics → relevance → clusters → ranking → gather + summary

What a configuration does not use is not launched. Nothing here waits for the device, and every shape follows from the
layout and K, so a call can be captured in a CUDA graph once its kernels are compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from shirg_core.budget import kept_tokens
from shirg_core.constants import constant
from shirg_core.coverage import cell_regions
from shirg_core.kernels.assemble import Choice, gather_and_summarise
from shirg_core.kernels.attention import deviation_parts
from shirg_core.kernels.attention_some import received_parts
from shirg_core.kernels.boruvka import cluster_levels
from shirg_core.kernels.geometry import Geometry, geometry
from shirg_core.kernels.numerics import check_batch, on_device, unit_stride
from shirg_core.kernels.ranking import AttentionParts, Component, Components, rank
from shirg_core.kernels.relevance import relevance
from shirg_core.kernels.statistics import Statistics, token_statistics
from shirg_core.layout import ViewLayout
from shirg_core.scores import mean_attention_received
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
    """SHIRG-v3 on validated inputs; shapes as in `Selector`.

    The linear-time `attention_method="mean"` is two matrix–vector products, for which it uses torch's own.
    """
    check_batch(features)
    k = kept_tokens(config.budget, layout)
    parts = None
    with torch.no_grad(), on_device(features):
        tokens, geo = unit_stride(features.detach()), geometry(layout, features.device)
        stats = token_statistics(tokens, geo, gradient=config.gradient_weight > 0, cosine=config.coverage == "clusters")
        if attention is None and config.needs_attention:
            if config.attention_method == "mean":
                attention = mean_attention_received(tokens, layout, temperature=config.temperature)
            else:
                parts = _attention_parts(config, tokens, layout, geo, stats)
                attention = parts.attention
        scored = attention if parts is None or parts.deviation is None else parts.deviation
        components = Components(
            attention=_component(config.attention_weight, scored),
            view_a=_component(config.magnitude_weight, stats.norm),
            view_b=_component(config.gradient_weight, stats.gradient),
        )
    return _select(config, features, layout, geo, k, stats, components, weights=attention, parts=parts)


def _component(weight: float, values: Tensor | None) -> Component | None:
    return Component(weight, values) if weight > 0 and values is not None else None


def _attention_parts(
    config: ShirgV3, tokens: Tensor, layout: ViewLayout, geo: Geometry, stats: Statistics
) -> AttentionParts:
    attention = torch.empty_like(stats.norm)
    if config.attention_queries is None:
        parts = deviation_parts(tokens, stats.norm, geo.keys, config.temperature)
        return AttentionParts(parts, layout.n_selectable, attention, torch.empty_like(attention))
    queries = min(config.attention_queries, layout.n_selectable)
    asking = _asking(layout, queries, tokens.device)
    parts = received_parts(tokens, stats.norm, geo.keys, asking, config.temperature)
    return AttentionParts(parts, queries, attention, None)


@constant
def _asking(layout: ViewLayout, queries: int, device: torch.device) -> Tensor:
    """`[Q]` int64, evenly spaced selectable tokens."""
    place = torch.arange(queries) * layout.n_selectable // queries
    keys = layout.valid_index()
    return (place if keys is None else keys[place]).to(device)


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
