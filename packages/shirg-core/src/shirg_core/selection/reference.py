"""Recipes in plain PyTorch: the meaning of every preset, which every other implementation must reproduce.

Scores are constants of the computation (`no_grad`); gradients reach the features through the gather and the summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from shirg_core.budget import kept_tokens
from shirg_core.constants import column
from shirg_core.eager import usable, without_gradients
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
from shirg_core.scores.combine import weighted_sum
from shirg_core.scores.distinctness import RADIUS
from shirg_core.scores.normalize import Group
from shirg_core.selection import Selection
from shirg_core.selection.assemble import assemble, find_regions, without_padding
from shirg_core.selection.choose import choose
from shirg_core.selection.recipe import Given, Recipe, Scaling, Weights

Term: TypeAlias = tuple[float, Tensor]
"""A weight, and the component `[B, N]` in [0, 1] that it multiplies."""
GROUPS: tuple[Group, ...] = ("image", "view")


def select(recipe: Recipe, features: Tensor, layout: ViewLayout, given: Given) -> Selection:
    """Follow a recipe on validated inputs; shapes as in `Selector`."""
    k = kept_tokens(recipe.budget, layout)
    features = without_padding(features, layout)
    with without_gradients():
        norm = feature_magnitude(features) if _needs_norm(recipe, given) else None
        parts, attention = _components(recipe, features, layout, given, norm)
        if parts:
            weights = tuple(part.weight for part in parts.values())
            scores = weighted_sum(weights, scaled(parts, layout, recipe.scaling), layout)
        else:
            scores = combine([], features, layout)
        regions = find_regions(recipe.coverage, features, layout, k, recipe.coverage_share, norm=norm)
        indices = choose(scores, None if recipe.coverage == "none" else regions, layout, k)
    indices, scores, regions = usable(indices), usable(scores), usable(regions)
    attention = None if attention is None else usable(attention)
    return assemble(features, layout, k, scores, regions, recipe.summary, attention, indices=indices)


def _needs_norm(recipe: Recipe, given: Given) -> bool:
    """Whether the tokens' lengths are read at all: then they are measured once."""
    relevance = recipe.weights.relevance > 0 and given.text is not None and recipe.scaling == "minmax"
    return relevance or recipe.weights.magnitude > 0 or recipe.coverage == "clusters"


@torch.no_grad()
def score_terms(recipe: Recipe, features: Tensor, layout: ViewLayout, given: Given) -> dict[str, Term]:
    """What the score adds up: weight and component by its name in `Weights`; arguments as of `select`."""
    parts, _ = _components(recipe, without_padding(features, layout), layout, given, None)
    return _terms(parts, layout, recipe.scaling)


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
    return _terms(_raw(weights, features, layout, given, scaling, radius, None), layout, scaling)


def _terms(parts: Mapping[str, Component], layout: ViewLayout, scaling: Scaling) -> dict[str, Term]:
    values = scaled(parts, layout, scaling).unbind() if parts else ()
    return {name: (part.weight, value) for (name, part), value in zip(parts.items(), values, strict=True)}


def scaled(components: Mapping[str, Component], layout: ViewLayout, scaling: Scaling) -> Tensor:
    """`[C, B, N]`, components brought to [0, 1]; those of one group in one call."""
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
            values = minmax(values, layout, per, offset=column(offsets, values.device) if any(offsets) else 0.0)
        if len(members) == len(components):
            return values
        done.update(zip(members, values.unbind(), strict=True))
    return torch.stack([done[name] for name in components])


def _raw(
    weights: Weights,
    features: Tensor,
    layout: ViewLayout,
    given: Given,
    scaling: Scaling,
    radius: float,
    norm: Tensor | None,
) -> dict[str, Component]:
    parts: dict[str, Component] = {}
    if weights.variance > 0:
        parts["variance"] = Component(weights.variance, channel_variance(features), "view")
    if weights.magnitude > 0:
        magnitude = feature_magnitude(features) if norm is None else norm
        parts["magnitude"] = Component(weights.magnitude, magnitude, "view")
    if weights.gradient > 0:
        parts["gradient"] = Component(weights.gradient, spatial_gradient(features, layout), "view")
    if weights.relevance > 0 and given.text is not None:
        if scaling == "saturation":
            evidence = text_evidence(features, given.text, given.text_mask, layout)
            parts["relevance"] = Component(weights.relevance, evidence, None)
        else:
            relevance = text_relevance(features, given.text, given.text_mask, norm=norm)
            parts["relevance"] = Component(weights.relevance, relevance, "image")
    if weights.edges > 0 and given.edges is not None:
        parts["edges"] = Component(weights.edges, given.edges, "image")
    if weights.distinctness > 0:
        distinct = distinctness(features, layout, radius=radius)
        parts["distinctness"] = Component(weights.distinctness, distinct, None)
    return parts


def _components(
    recipe: Recipe, features: Tensor, layout: ViewLayout, given: Given, norm: Tensor | None
) -> tuple[dict[str, Component], Tensor | None]:
    """What is added, in that order, and A as it is; None where attention is not used by the summary."""
    parts: dict[str, Component] = {}
    attention = given.attention
    if recipe.uses_attention(given):
        values, offset = attention, 0.0
        if attention is None and recipe.temperature is not None:
            # Scaled by its deviation from flatness, which keeps small differences.
            values, offset = attention_deviation(features, layout, temperature=recipe.temperature), 1.0
            attention = received_from_deviation(values, layout) if recipe.summary == "attention" else None
        assert values is not None  # `uses_attention` is false without both.
        parts["attention"] = Component(recipe.weights.attention, values, "image", offset)
    parts |= _raw(recipe.weights, features, layout, given, recipe.scaling, recipe.radius, norm)
    return parts, attention if recipe.summary == "attention" else None
