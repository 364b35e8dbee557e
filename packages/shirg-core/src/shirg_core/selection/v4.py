"""SHIRG-v4: edges, features that change and are distinct, attention where it is given, text where tokens are aligned.

    s_i = w_E·Ẽ_i + w_G·G̃_i + w_U·U_i + w_A·Ã_i + w_R·R_i            x̃ = x / (x + x̄/3)      (`scores.saturate`)

Edges find print on paper, on real pages better than anything else alone; the gradient and distinctness (`scores.
distinctness`) find the patches of a trained tower that carry what no other patch carries; attention received, if given,
tells print from other drawn detail. Text leads wherever it rises above its own noise (`scores.evidence`): its weight is
larger than the sum of the others, and its component is 0 where tokens are not aligned with words. Kept tokens are
original ones.

| symbol | variable         | source                                              |
|--------|------------------|-----------------------------------------------------|
| E      | edges            | `scores.edge_density`, mean over the image          |
| G      | spatial gradient | `scores.spatial_gradient`, mean over the view       |
| U      | distinctness     | `scores.distinctness`, in [0, 1] as it is           |
| A      | attention        | given: what each token received in the vision tower |
| R      | text evidence    | `scores.text_evidence`, in [0, 1] as it is          |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from shirg_core.budget import Budget
from shirg_core.checks import check_choice, keep, real
from shirg_core.scores.distinctness import RADIUS
from shirg_core.selection.preset import MOST, Preset
from shirg_core.selection.recipe import Coverage, Given, Recipe, Summary, Weights

AttentionOf: TypeAlias = Literal["any", "tower"]


@dataclass(frozen=True)
class ShirgV4(Preset):
    """SHIRG-v4. `edges` are required; `attention` and `text` count where they are given.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
        edge_weight: weight of the edge density.
        gradient_weight: weight of the features' spatial gradient.
        distinct_weight: weight of distinctness.
        attention_weight: weight of the attention received.
        text_weight: weight of the text evidence.
        radius: τ > 0 of distinctness, relative to the image's own spread.
        coverage: `none` (one region), `cells`, `clusters`, or `quadtree` (blocks, small where tokens differ).
        coverage_share: share of the budget, in [0, 1], that coverage may claim.
        summary: `mean` of the dropped tokens, `attention` (weighted by the `attention` input), or `none`.
        attention_of: `any`: attention counts if it is given; `tower`: it must be, as the vision tower's own.

    Raises:
        ValueError: a value outside its range.
    """

    budget: Budget
    edge_weight: float = 1.0
    gradient_weight: float = 0.25
    distinct_weight: float = 1.5
    attention_weight: float = 0.25
    text_weight: float = 4.0
    radius: float = RADIUS
    coverage: Coverage = "none"
    coverage_share: float = 0.0625
    summary: Summary = "mean"
    attention_of: AttentionOf = "any"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("attention_of", self.attention_of, get_args(AttentionOf))
        names = ("edge_weight", "gradient_weight", "distinct_weight", "attention_weight", "text_weight")
        keep(self, real, *names, low=0, high=MOST)
        keep(self, real, "radius", above=0)

    @property
    def method(self) -> str:
        """The registry's name."""
        return "v4-tower" if self.attention_of == "tower" else "v4"

    @property
    def recipe(self) -> Recipe:
        """What is computed."""
        weights = Weights(
            attention=self.attention_weight,
            gradient=self.gradient_weight,
            relevance=self.text_weight,
            edges=self.edge_weight,
            distinctness=self.distinct_weight,
        )
        return Recipe(
            self.budget,
            weights,
            self.coverage,
            self.coverage_share,
            self.summary,
            temperature=None,
            scaling="saturation",
            radius=self.radius,
        )

    def check_given(self, given: Given) -> None:
        """Refuse a call without edges, or without the attention that it was told to use."""
        if given.edges is None and self.edge_weight > 0:
            raise ValueError("SHIRG-v4 scores by edges and needs `edges` [B, N]; pass them, or edge_weight=0")
        if given.attention is None and self.attention_of == "tower":
            how = "give tower_attention=True to what runs the tower"
            raise ValueError(f"SHIRG-v4 with attention_of='tower' needs `attention` [B, N]: {how}")
        if given.attention is None and self.summary == "attention":
            raise ValueError("SHIRG-v4 with summary='attention' needs `attention` [B, N]")


shirg_v4 = ShirgV4
