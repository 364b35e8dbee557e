"""Recipes in plain PyTorch: the meaning of every preset, which every other implementation must reproduce.

Scores are constants of the computation (`no_grad`); gradients reach the features through the gather and the summary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.budget import kept_tokens
from shirg_core.layout import ViewLayout
from shirg_core.scores import (
    attention_deviation,
    channel_variance,
    combine,
    distinctness,
    feature_magnitude,
    minmax,
    received_from_deviation,
    saturate,
    spatial_gradient,
    text_evidence,
    text_relevance,
)
from shirg_core.scores.distinctness import RADIUS
from shirg_core.selection import Selection
from shirg_core.selection.assemble import assemble, find_regions, without_padding
from shirg_core.selection.recipe import Given, Recipe, Scaling, Weights

SCALE = {"minmax": minmax, "saturation": saturate}


def select(recipe: Recipe, features: Tensor, layout: ViewLayout, given: Given) -> Selection:
    """Follow a recipe on validated inputs; shapes as in `Selector`."""
    k = kept_tokens(recipe.budget, layout)
    features = without_padding(features, layout)
    with torch.no_grad():
        components, attention = [], given.attention
        if recipe.uses_attention(given):
            attention, scaled = _attention(recipe, features, layout, attention)
            components.append((recipe.weights.attention, scaled))
        components += weighted(recipe.weights, features, layout, given, recipe.scaling, recipe.radius)
        scores = combine(components, features, layout)
        regions = find_regions(recipe.coverage, features, layout, k, recipe.coverage_share)
    return assemble(features, layout, k, scores, regions, recipe.summary, attention)


def weighted(
    weights: Weights,
    features: Tensor,
    layout: ViewLayout,
    given: Given,
    scaling: Scaling = "minmax",
    radius: float = RADIUS,
) -> list[tuple[float, Tensor]]:
    """`(weight, [B, N] in [0, 1])` of every component but attention whose weight is above 0."""
    scaled = SCALE[scaling]
    parts: list[tuple[float, Tensor]] = []
    if weights.variance > 0:
        parts.append((weights.variance, scaled(channel_variance(features), layout, "view")))
    if weights.magnitude > 0:
        parts.append((weights.magnitude, scaled(feature_magnitude(features), layout, "view")))
    if weights.gradient > 0:
        parts.append((weights.gradient, scaled(spatial_gradient(features, layout), layout, "view")))
    if weights.relevance > 0 and given.text is not None:
        if scaling == "saturation":
            relevance = text_evidence(features, given.text, given.text_mask, layout)
        else:
            relevance = minmax(text_relevance(features, given.text, given.text_mask), layout, "image")
        parts.append((weights.relevance, relevance))
    if weights.edges > 0 and given.edges is not None:
        parts.append((weights.edges, scaled(given.edges, layout, "image")))
    if weights.distinctness > 0:
        parts.append((weights.distinctness, distinctness(features, layout, radius=radius)))
    return parts


def _attention(recipe: Recipe, features: Tensor, layout: ViewLayout, given: Tensor | None) -> tuple[Tensor, Tensor]:
    """A, raw and scaled; from its deviation where it is computed, which keeps small differences."""
    if given is not None or recipe.temperature is None:
        assert given is not None  # `uses_attention` is false without both.
        return given, SCALE[recipe.scaling](given, layout, "image")
    deviation = attention_deviation(features, layout, temperature=recipe.temperature)
    return received_from_deviation(deviation, layout), minmax(deviation, layout, "image", offset=1.0)
