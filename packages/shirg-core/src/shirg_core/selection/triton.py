"""Recipes as Triton kernels; the meaning is that of `reference`. Imported only when this backend is chosen.

    SHIRG-v3:  statistics → attention sums, in two launches → attention → ranking → gather + summary
    SHIRG-v2:  statistics → relevance → clusters → ranking → gather + summary
    SHIRG-v4:  statistics → distinctness → ranking → gather + summary

Of v4, what distinctness compares and the text evidence, whose text tokens are few, are made by PyTorch.

What a recipe does not use is not launched. Nothing here waits for the device, and every shape follows from the layout
and K, so a call can be captured in a CUDA graph once its kernels are compiled. See KERNELS.md.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.budget import kept_tokens
from shirg_core.coverage import cell_regions
from shirg_core.coverage.clusters_launch import cluster_levels
from shirg_core.kernels.geometry import Geometry, geometry
from shirg_core.kernels.numerics import check_batch, check_device, on_device, unit_stride
from shirg_core.layout import ViewLayout
from shirg_core.scores import distinctness, text_evidence
from shirg_core.scores.attention_kernel import deviation_parts
from shirg_core.scores.directions_kernel import new_points
from shirg_core.scores.distinctness_kernel import count_copies
from shirg_core.scores.relevance_kernel import relevance
from shirg_core.scores.statistics_kernel import Statistics, token_statistics
from shirg_core.selection import Selection
from shirg_core.selection.assemble_kernel import Choice, gather_and_summarise
from shirg_core.selection.rank_launch import AttentionParts, Component, Components, rank
from shirg_core.selection.recipe import Given, Recipe

__all__ = ["check_device", "select"]


def select(recipe: Recipe, features: Tensor, layout: ViewLayout, given: Given) -> Selection:
    """Follow a recipe on validated inputs; shapes as in `Selector`.

    Raises:
        NotImplementedError: a recipe that weighs variance, magnitude and gradient: the kernels have room for two.
    """
    check_batch(features)
    k = kept_tokens(recipe.budget, layout)
    weights, parts, attention = recipe.weights, None, given.attention
    with torch.no_grad(), on_device(features):
        tokens, geo = unit_stride(features.detach()), geometry(layout, features.device)
        computes = attention is None and recipe.uses_attention(given)
        points = new_points(tokens, layout.n_selectable) if computes else None
        saturate, words = recipe.scaling == "saturation", None
        if given.text is not None and weights.relevance > 0 and not saturate:
            words = unit_stride(given.text.detach())
        stats = token_statistics(
            tokens, geo,
            variance=weights.variance > 0, gradient=weights.gradient > 0, cosine=recipe.coverage == "clusters",
            text=words, points=points, temperature=recipe.temperature or 1.0,
        )  # fmt: skip
        # Attention that is given is scaled as it is; one that is computed, by its deviation from flatness.
        scored, offset = attention, 0.0
        if points is not None:
            parts = AttentionParts(deviation_parts(points), torch.empty_like(stats.norm), torch.empty_like(stats.norm))
            attention, scored, offset = parts.attention, parts.deviation, 1.0
        similarity = None
        if words is not None and stats.text_norm is not None:
            similarity = relevance(tokens, stats.norm, words, stats.text_norm, given.text_mask)
        evidence = distinct = None
        if saturate and given.text is not None and weights.relevance > 0:
            evidence = text_evidence(tokens, given.text.detach(), given.text_mask, layout)
        if weights.distinctness > 0:
            distinct = distinctness(tokens, layout, radius=recipe.radius, count=count_copies)
        view_a, view_b = _per_view(recipe, stats)
        components = Components(
            attention=_component(weights.attention, scored, offset),
            view_a=view_a,
            view_b=view_b,
            ready_a=_component(weights.relevance, evidence),
            image_a=_component(weights.relevance, similarity),
            image_b=_component(weights.edges, None if given.edges is None else given.edges.detach()),
            ready_b=_component(weights.distinctness, distinct),
        )
    return _finish(recipe, features, layout, geo, k, stats, components, weights=attention, parts=parts)


def _per_view(recipe: Recipe, stats: Statistics) -> tuple[Component | None, Component | None]:
    """Those of variance, magnitude and gradient that are weighed, in this order."""
    weights = recipe.weights
    pairs = (weights.variance, stats.variance), (weights.magnitude, stats.norm), (weights.gradient, stats.gradient)
    first, second, third = sorted((_component(*pair) for pair in pairs), key=lambda each: each is None)
    if third is not None:
        raise NotImplementedError("the kernels have room for two of variance, magnitude and gradient")
    return first, second


def _component(weight: float, values: Tensor | None, offset: float = 0.0) -> Component | None:
    return Component(weight, values, offset) if weight > 0 and values is not None else None


def _finish(
    recipe: Recipe,
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
    """Rank, gather and summarise."""
    cells = clusters = None
    saturates = recipe.scaling == "saturation"
    weights = weights.detach() if weights is not None and recipe.summary == "attention" else None
    with torch.no_grad(), on_device(features):
        if recipe.coverage == "cells":
            cells = cell_regions(layout, k, recipe.coverage_share, features.device)
        elif recipe.coverage == "clusters" and stats.right is not None and stats.below is not None:
            per_view = components.view_a, components.view_b
            measured = [None if c is None or saturates else c.values for c in per_view]
            clusters = cluster_levels(stats.right, stats.below, geo, layout, k, recipe.coverage_share, *measured)
        ranking = rank(
            components, geo, layout, k,
            saturate=saturates, parts=parts, cells=cells, clusters=clusters, weights=weights, batch=features.shape[0],
        )  # fmt: skip
    choice = Choice(ranking.indices, ranking.slot, ranking.dropped_weight, geo.tokens, layout.n_selectable - k)
    with on_device(features):
        kept, token = gather_and_summarise(features, choice, weights, summary=recipe.summary != "none")
    return Selection(ranking.indices, ranking.scores, ranking.regions, kept, token)
