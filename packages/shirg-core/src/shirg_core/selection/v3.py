"""SHIRG-v3: attention received, magnitude and spatial gradient; cells; attention-weighted summary.

s_i = w_A·A_i + w_M·M_i + w_G·G_i
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from shirg_core.budget import Budget
from shirg_core.checks import check_choice, keep, real
from shirg_core.selection.preset import MOST, Preset
from shirg_core.selection.recipe import Coverage, Given, Recipe, Summary, Weights

AttentionOf: TypeAlias = Literal["features", "tower"]


@dataclass(frozen=True)
class ShirgV3(Preset):
    """SHIRG-v3.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
        attention_weight: weight of A.
        magnitude_weight: weight of M.
        gradient_weight: weight of G.
        temperature: τ > 0 of the softmax in A.
        coverage: `cells`, `clusters`, `quadtree` (blocks, small where tokens differ), or `none` (one region).
        coverage_share: share of the budget, in [0, 1], that coverage may claim.
        summary: `attention` (dropped tokens weighted by A), `mean`, or `none`.
        attention_of: `features`: A comes from their cosines unless `attention` is given; `tower`: `attention` must be
            given, as the vision tower's own.

    Raises:
        ValueError: a value outside its range.
    """

    budget: Budget
    attention_weight: float = 0.6
    magnitude_weight: float = 0.25
    gradient_weight: float = 0.15
    temperature: float = 0.1
    coverage: Coverage = "cells"
    coverage_share: float = 0.5
    summary: Summary = "attention"
    attention_of: AttentionOf = "features"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("attention_of", self.attention_of, get_args(AttentionOf))
        keep(self, real, "attention_weight", "magnitude_weight", "gradient_weight", low=0, high=MOST)
        keep(self, real, "temperature", above=0)

    @property
    def method(self) -> str:
        """The registry's name."""
        return "v3-tower" if self.attention_of == "tower" else "v3"

    @property
    def recipe(self) -> Recipe:
        """What is computed."""
        weights = Weights(self.attention_weight, magnitude=self.magnitude_weight, gradient=self.gradient_weight)
        return Recipe(self.budget, weights, self.coverage, self.coverage_share, self.summary, self.temperature)

    def check_given(self, given: Given) -> None:
        """Refuse a call without the attention that it is to be scored by."""
        if given.attention is None and self.attention_of == "tower":
            how = "give tower_attention=True to what runs the tower"
            raise ValueError(f"SHIRG-v3 with attention_of='tower' needs `attention` [B, N]: {how}")


shirg_v3 = ShirgV3
