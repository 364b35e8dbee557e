"""What a preset comes down to: how tokens are scored, covered and summarised. Both backends compute it.

    s_i = Σ_c w_c · ĉ_i         ĉ = component c, min–max normalised to [0, 1]

Variance, magnitude and gradient are normalised per view, because their scale differs between crops; attention,
relevance and edges, which are scale-free already, per image.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from torch import Tensor

from shirg_core.budget import Budget

Coverage: TypeAlias = Literal["clusters", "cells", "none"]
Summary: TypeAlias = Literal["mean", "attention", "none"]


class Weights(NamedTuple):
    """w_c ≥ 0 of the components, in the order in which they are added; 0 = not computed."""

    attention: float = 0.0
    variance: float = 0.0
    magnitude: float = 0.0
    gradient: float = 0.0
    relevance: float = 0.0
    edges: float = 0.0


class Recipe(NamedTuple):
    """One preset's choices; see `ShirgV3` for what they mean."""

    budget: Budget
    weights: Weights
    coverage: Coverage
    coverage_share: float
    summary: Summary
    temperature: float = 0.1

    @property
    def needs_attention(self) -> bool:
        """Whether attention is used at all, by the score or by the summary."""
        return self.weights.attention > 0 or self.summary == "attention"


class Given(NamedTuple):
    """The inputs beside features and layout, with the shapes of `Selector`; attention is computed where it is None."""

    text: Tensor | None = None
    text_mask: Tensor | None = None
    edges: Tensor | None = None
    attention: Tensor | None = None
