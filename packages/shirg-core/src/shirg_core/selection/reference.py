"""Recipes in plain PyTorch: the meaning of every preset, which every other implementation must reproduce.

Scores are constants of the computation (`no_grad`); gradients reach the features through the gather and the summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from shirg_core.budget import kept_tokens
from shirg_core.constants import constant
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
from shirg_core.scores.normalize import Group
from shirg_core.selection import Selection
from shirg_core.selection.assemble import assemble, find_regions, without_padding
from shirg_core.selection.recipe import Given, Recipe, Scaling, Weights

Term: TypeAlias = tuple[float, Tensor]
"""A weight, and the component `[B, N]` in [0, 1] that it multiplies."""
GROUPS: tuple[Group, ...] = ("image", "view")


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


class Component(NamedTuple):
    """What a term is made of.

    Attributes:
        weight: w_c.
        values: `[B, N]`, raw.
        per: the group over which it is scaled; None = it lies in [0, 1] as it is.
        offset: the component is `values + offset`, see `scores.minmax`.
    """

    weight: float
    values: Tensor
    per: Group | None
    offset: float = 0.0


def weighted(
    weights: Weights,
    features: Tensor,
    layout: ViewLayout,
    given: Given,
    scaling: Scaling = "minmax",
    radius: float = RADIUS,
) -> dict[str, Term]:
    """Every component but attention whose weight is above 0, by its name in `Weights`, in that order."""
    return scaled(_raw(weights, features, layout, given, scaling, radius), layout, scaling)


def scaled(components: Mapping[str, Component], layout: ViewLayout, scaling: Scaling) -> dict[str, Term]:
    """Components brought to [0, 1]; those of one group together: three small calls cost three times one."""
    done = {name: c.values for name, c in components.items() if c.per is None}
    one_view = len(layout.views) == 1
    for per in GROUPS[:1] if one_view else GROUPS:
        members = [name for name, c in components.items() if c.per == per or (one_view and c.per is not None)]
        if not members:
            continue
        values = torch.stack([components[name].values.float() for name in members])
        if scaling == "saturation":
            values = saturate(values, layout, per)
        else:
            offsets = tuple(components[name].offset for name in members)
            values = minmax(values, layout, per, offset=_column(offsets, values.device) if any(offsets) else 0.0)
        done.update(zip(members, values.unbind(), strict=True))
    return {name: (c.weight, done[name]) for name, c in components.items()}


def _raw(
    weights: Weights, features: Tensor, layout: ViewLayout, given: Given, scaling: Scaling, radius: float
) -> dict[str, Component]:
    parts: dict[str, Component] = {}
    if weights.variance > 0:
        parts["variance"] = Component(weights.variance, channel_variance(features), "view")
    if weights.magnitude > 0:
        parts["magnitude"] = Component(weights.magnitude, feature_magnitude(features), "view")
    if weights.gradient > 0:
        parts["gradient"] = Component(weights.gradient, spatial_gradient(features, layout), "view")
    if weights.relevance > 0 and given.text is not None:
        if scaling == "saturation":
            evidence = text_evidence(features, given.text, given.text_mask, layout)
            parts["relevance"] = Component(weights.relevance, evidence, None)
        else:
            relevance = text_relevance(features, given.text, given.text_mask)
            parts["relevance"] = Component(weights.relevance, relevance, "image")
    if weights.edges > 0 and given.edges is not None:
        parts["edges"] = Component(weights.edges, given.edges, "image")
    if weights.distinctness > 0:
        distinct = distinctness(features, layout, radius=radius)
        parts["distinctness"] = Component(weights.distinctness, distinct, None)
    return parts


def _terms(recipe: Recipe, features: Tensor, layout: ViewLayout, given: Given) -> tuple[dict[str, Term], Tensor | None]:
    """The terms in the order in which they are added, and A as it is; None where attention is not used."""
    parts: dict[str, Component] = {}
    attention = given.attention
    if recipe.uses_attention(given):
        values, offset = attention, 0.0
        if attention is None and recipe.temperature is not None:
            # Scaled by its deviation from flatness, which keeps small differences.
            values, offset = attention_deviation(features, layout, temperature=recipe.temperature), 1.0
            attention = received_from_deviation(values, layout)
        assert values is not None  # `uses_attention` is false without both.
        parts["attention"] = Component(recipe.weights.attention, values, "image", offset)
    parts |= _raw(recipe.weights, features, layout, given, recipe.scaling, recipe.radius)
    return scaled(parts, layout, recipe.scaling), attention


@constant
def _column(numbers: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1).to(device)
