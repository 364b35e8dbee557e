"""SHIRG-v2 and SHIRG-v3: the two published combinations of scores, coverage and summary, as frozen configurations.

    v2:  s_i = α·Var(v_i) + (1−α)·max_j cos(v_i, t_j) + β·Edge(v_i)      clusters, mean summary
    v3:  s_i = w_A·A_i + w_M·M_i + w_G·G_i                               cells, attention-weighted summary

Variance, magnitude and gradient are min–max normalised per view; cosine, attention and edge per image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from torch import Tensor

from shirg_core import dispatch
from shirg_core.budget import Budget, check_budget
from shirg_core.inputs import check_inputs
from shirg_core.layout import ViewLayout
from shirg_core.names import check_choice
from shirg_core.numbers import keep, real
from shirg_core.selection import Selection

Coverage: TypeAlias = Literal["clusters", "cells", "none"]
Summary: TypeAlias = Literal["mean", "attention", "none"]
AttentionOf: TypeAlias = Literal["features", "tower"]


MOST = 2.0**20
"""The largest weight."""


@dataclass(frozen=True)
class _Preset:
    """What both presets share."""

    budget: Budget

    def _check_shared(self, coverage: str, summary: str) -> None:
        check_budget(self.budget)
        check_choice("coverage", coverage, get_args(Coverage))
        keep(self, real, "coverage_share", low=0, high=1)
        check_choice("summary", summary, get_args(Summary))


@dataclass(frozen=True)
class ShirgV2(_Preset):
    """SHIRG-v2: saliency, text relevance and edges; connected clusters; mean summary.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
        alpha: α in [0, 1], weight of the channel variance; text relevance weighs 1 − α. `alpha=1` needs no text.
        beta: β, weight of the edge density. `beta=0` needs no edges.
        coverage: `clusters`, `cells`, or `none` (one region, the whole image).
        coverage_share: share of the budget, in [0, 1], that coverage may claim.
        summary: `mean` of the dropped tokens, `attention` (weighted by the `attention` input), or `none`.
        text_weight: overrides 1 − α; `text_weight=0` says on purpose that there is no text.

    Raises:
        ValueError: a value outside its range.
    """

    alpha: float = 0.25
    beta: float = 0.15
    coverage: Coverage = "clusters"
    coverage_share: float = 0.5
    summary: Summary = "mean"
    text_weight: float | None = None

    def __post_init__(self) -> None:
        self._check_shared(self.coverage, self.summary)
        keep(self, real, "alpha", low=0, high=1)
        keep(self, real, "beta", low=0, high=MOST)
        if self.text_weight is not None:
            keep(self, real, "text_weight", low=0, high=MOST)

    @property
    def relevance_weight(self) -> float:
        """Weight of the text relevance."""
        return 1.0 - self.alpha if self.text_weight is None else self.text_weight

    def __call__(
        self,
        features: Tensor,
        layout: ViewLayout,
        *,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        edges: Tensor | None = None,
        attention: Tensor | None = None,
        impl: str = "auto",
        check_finite: bool = False,
    ) -> Selection:
        """Choose tokens; shapes and errors as in `Selector`."""
        check_inputs(
            features,
            layout,
            text=text,
            text_mask=text_mask,
            edges=edges,
            attention=attention,
            check_finite=check_finite,
        )
        if text is None and self.relevance_weight > 0:
            raise ValueError("SHIRG-v2 scores by text relevance and needs `text` [B, M, D]; pass it, or text_weight=0")
        if edges is None and self.beta > 0:
            raise ValueError("SHIRG-v2 scores by edges and needs `edges` [B, N]; pass them, or beta=0")
        if attention is None and self.summary == "attention":
            raise ValueError("SHIRG-v2 with summary='attention' needs `attention` [B, N]")
        run = dispatch.backend(impl, features)
        return run.select_v2(self, features, layout, text=text, text_mask=text_mask, edges=edges, attention=attention)


@dataclass(frozen=True)
class ShirgV3(_Preset):
    """SHIRG-v3: attention received, magnitude and spatial gradient; cells; attention-weighted summary.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
        attention_weight: weight of A.
        magnitude_weight: weight of M.
        gradient_weight: weight of G.
        temperature: τ > 0 of the softmax in A.
        coverage: `cells`, `clusters`, or `none` (one region, the whole image).
        coverage_share: share of the budget, in [0, 1], that coverage may claim.
        summary: `attention` (dropped tokens weighted by A), `mean`, or `none`.
        attention_of: `features`: A comes from their cosines unless `attention` is given; `tower`: `attention` must be
            given, as the vision tower's own.

    Raises:
        ValueError: a value outside its range.
    """

    attention_weight: float = 0.6
    magnitude_weight: float = 0.25
    gradient_weight: float = 0.15
    temperature: float = 0.1
    coverage: Coverage = "cells"
    coverage_share: float = 0.5
    summary: Summary = "attention"
    attention_of: AttentionOf = "features"

    def __post_init__(self) -> None:
        self._check_shared(self.coverage, self.summary)
        check_choice("attention_of", self.attention_of, get_args(AttentionOf))
        keep(self, real, "attention_weight", "magnitude_weight", "gradient_weight", low=0, high=MOST)
        keep(self, real, "temperature", above=0)

    @property
    def needs_attention(self) -> bool:
        """Whether A is used at all, by the score or by the summary."""
        return self.attention_weight > 0 or self.summary == "attention"

    def __call__(
        self,
        features: Tensor,
        layout: ViewLayout,
        *,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        edges: Tensor | None = None,
        attention: Tensor | None = None,
        impl: str = "auto",
        check_finite: bool = False,
    ) -> Selection:
        """Choose tokens; shapes and errors as in `Selector`. `text` and `edges` are checked and not used."""
        check_inputs(
            features,
            layout,
            text=text,
            text_mask=text_mask,
            edges=edges,
            attention=attention,
            check_finite=check_finite,
        )
        if attention is None and self.attention_of == "tower":
            given = "give tower_attention=True to what runs the tower"
            raise ValueError(f"SHIRG-v3 with attention_of='tower' needs `attention` [B, N]: {given}")
        return dispatch.backend(impl, features).select_v3(self, features, layout, attention=attention)


shirg_v2 = ShirgV2
shirg_v3 = ShirgV3
