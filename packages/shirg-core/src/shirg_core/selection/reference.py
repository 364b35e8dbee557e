"""Recipes in plain PyTorch: the meaning of every preset, which every other implementation must reproduce.

Scores are constants of the computation (`no_grad`); gradients reach the features through the gather and the summary.
"""

from __future__ import annotations

from typing import TypeAlias

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

Term: TypeAlias = tuple[float, Tensor]
"""A weight, and the component `[B, N]` in [0, 1] that it multiplies."""
SCALE = {"minmax": minmax, "saturation": saturate}


def select(recipe: Recipe, features: Tensor, layout: ViewLayout, given: Given) -> Selection:
    """Follow a recipe on validated inputs; shapes as in `Selector`."""
    k = kept_tokens(recipe.budget, layout)
    features = without_padding(features, layout)
    with torch.no_grad():
        terms, attention = _terms(recipe, features, layout, given)
        scores = combine(list(terms.values()), features, layout)
        regions = find_regions(recipe.coverage, features, layout, k, recipe.coverage_share)
    return assemble(features, layout, k, scores, regions, recipe.summary, attention)


@torch.no_grad()
def score_terms(recipe: Recipe, features: Tensor, layout: ViewLayout, given: Given) -> dict[str, Term]:
    """What the score adds up: weight and component by its name in `Weights`; arguments as of `select`."""
    return _terms(recipe, without_padding(features, layout), layout, given)[0]


def weighted(
    weights: Weights,
    features: Tensor,
    layout: ViewLayout,
    given: Given,
    scaling: Scaling = "minmax",
    radius: float = RADIUS,
) -> dict[str, Term]:
    """Every component but attention whose weight is above 0, by its name in `Weights`, in that order."""
    scaled = SCALE[scaling]
    parts: dict[str, Term] = {}
    if weights.variance > 0:
        parts["variance"] = weights.variance, scaled(channel_variance(features), layout, "view")
    if weights.magnitude > 0:
        parts["magnitude"] = weights.magnitude, scaled(feature_magnitude(features), layout, "view")
    if weights.gradient > 0:
        parts["gradient"] = weights.gradient, scaled(spatial_gradient(features, layout), layout, "view")
    if weights.relevance > 0 and given.text is not None:
        if scaling == "saturation":
            relevance = text_evidence(features, given.text, given.text_mask, layout)
        else:
            relevance = minmax(text_relevance(features, given.text, given.text_mask), layout, "image")
        parts["relevance"] = weights.relevance, relevance
    if weights.edges > 0 and given.edges is not None:
        parts["edges"] = weights.edges, scaled(given.edges, layout, "image")
    if weights.distinctness > 0:
        parts["distinctness"] = weights.distinctness, distinctness(features, layout, radius=radius)
    return parts


def _terms(recipe: Recipe, features: Tensor, layout: ViewLayout, given: Given) -> tuple[dict[str, Term], Tensor | None]:
    """The terms in the order in which they are added, and A as it is; None where attention is not used."""
    terms: dict[str, Term] = {}
    attention = given.attention
    if recipe.uses_attention(given):
        attention, scaled = _attention(recipe, features, layout, attention)
        terms["attention"] = recipe.weights.attention, scaled
    terms |= weighted(recipe.weights, features, layout, given, recipe.scaling, recipe.radius)
    return terms, attention


def _attention(recipe: Recipe, features: Tensor, layout: ViewLayout, given: Tensor | None) -> tuple[Tensor, Tensor]:
    """A, raw and scaled; from its deviation where it is computed, which keeps small differences."""
    if given is not None or recipe.temperature is None:
        assert given is not None  # `uses_attention` is false without both.
        return given, SCALE[recipe.scaling](given, layout, "image")
    deviation = attention_deviation(features, layout, temperature=recipe.temperature)
    return received_from_deviation(deviation, layout), minmax(deviation, layout, "image", offset=1.0)
