"""SHIRG-v2: saliency, text relevance and edges; connected clusters; mean summary.

s_i = α·Var(v_i) + (1−α)·max_j cos(v_i, t_j) + β·Edge(v_i)
"""

from __future__ import annotations

from dataclasses import dataclass

from shirg_core.budget import Budget
from shirg_core.checks import keep, real
from shirg_core.selection.preset import MOST, Preset
from shirg_core.selection.recipe import Coverage, Given, Recipe, Summary, Weights


@dataclass(frozen=True)
class ShirgV2(Preset):
    """SHIRG-v2.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
        alpha: α in [0, 1], weight of the channel variance; text relevance weighs 1 − α. `alpha=1` needs no text.
        beta: β, weight of the edge density. `beta=0` needs no edges.
        coverage: `clusters`, `cells`, `quadtree` (blocks, small where tokens differ), or `none` (one region).
        coverage_share: share of the budget, in [0, 1], that coverage may claim.
        summary: `mean` of the dropped tokens, `attention` (weighted by the `attention` input), or `none`.
        text_weight: overrides 1 − α; `text_weight=0` says on purpose that there is no text.

    Raises:
        ValueError: a value outside its range.
    """

    budget: Budget
    alpha: float = 0.25
    beta: float = 0.15
    coverage: Coverage = "clusters"
    coverage_share: float = 0.5
    summary: Summary = "mean"
    text_weight: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, real, "alpha", low=0, high=1)
        keep(self, real, "beta", low=0, high=MOST)
        if self.text_weight is not None:
            keep(self, real, "text_weight", low=0, high=MOST)

    @property
    def relevance_weight(self) -> float:
        """Weight of the text relevance."""
        return 1.0 - self.alpha if self.text_weight is None else self.text_weight

    @property
    def method(self) -> str:
        """The registry's name."""
        return "v2"

    @property
    def recipe(self) -> Recipe:
        """What is computed."""
        weights = Weights(variance=self.alpha, relevance=self.relevance_weight, edges=self.beta)
        return Recipe(self.budget, weights, self.coverage, self.coverage_share, self.summary)

    def check_given(self, given: Given) -> None:
        """Refuse a call without what its weights ask for."""
        if given.text is None and self.relevance_weight > 0:
            raise ValueError("SHIRG-v2 scores by text relevance and needs `text` [B, M, D]; pass it, or text_weight=0")
        if given.edges is None and self.beta > 0:
            raise ValueError("SHIRG-v2 scores by edges and needs `edges` [B, N]; pass them, or beta=0")
        if given.attention is None and self.summary == "attention":
            raise ValueError("SHIRG-v2 with summary='attention' needs `attention` [B, N]")


shirg_v2 = ShirgV2
