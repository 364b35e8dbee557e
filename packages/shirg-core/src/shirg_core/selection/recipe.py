"""What a preset comes down to: how tokens are scored, covered and summarised. Both backends compute it.

    s_i = Σ_c w_c · ĉ_i         ĉ = component c, scaled to [0, 1]: by min–max, or in SHIRG-v4 by saturation

Variance, magnitude and gradient are normalised per view, because their scale differs between crops; attention,
relevance and edges, which are scale-free already, per image.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from torch import Tensor

from shirg_core.budget import Budget
from shirg_core.scores.distinctness import RADIUS

Coverage: TypeAlias = Literal["clusters", "cells", "quadtree", "none"]
Summary: TypeAlias = Literal["mean", "attention", "none"]
Scaling: TypeAlias = Literal["minmax", "saturation"]


class Weights(NamedTuple):
    """w_c ≥ 0 of the components, in the order in which they are added; 0 = not computed."""

    attention: float = 0.0
    variance: float = 0.0
    magnitude: float = 0.0
    gradient: float = 0.0
    relevance: float = 0.0
    edges: float = 0.0
    distinctness: float = 0.0


class Recipe(NamedTuple):
    """One preset's choices; see `ShirgV3` for what they mean.

    Attributes:
        temperature: of the attention that is computed where none is given; None = none is computed.
        scaling: of components; with `saturation`, text relevance is measured against its noise (`scores.evidence`).
        radius: of distinctness.
    """

    budget: Budget
    weights: Weights
    coverage: Coverage
    coverage_share: float
    summary: Summary
    temperature: float | None = 0.1
    scaling: Scaling = "minmax"
    radius: float = RADIUS

    def uses_attention(self, given: Given) -> bool:
        """Whether attention is used at all, by the score or by the summary."""
        wanted = self.weights.attention > 0 or self.summary == "attention"
        return wanted and (self.temperature is not None or given.attention is not None)


class Given(NamedTuple):
    """The inputs beside features and layout, with the shapes of `Selector`; attention is computed where it is None."""

    text: Tensor | None = None
    text_mask: Tensor | None = None
    edges: Tensor | None = None
    attention: Tensor | None = None
