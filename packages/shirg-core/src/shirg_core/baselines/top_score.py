"""Top-k by one score: the K best tokens, wherever they lie; SHIRG without its mixture and without coverage.

    kept = the K largest s_i, ties to the lowest index          s = one component, min–max normalised as in the presets

| score        | s_i                        | normalised per | needs                                             |
|--------------|----------------------------|----------------|---------------------------------------------------|
| variance     | Var_d(v_id)                | view           | –                                                 |
| magnitude    | ‖v_i‖₂                     | view           | –                                                 |
| gradient     | norm of the grid gradient  | view           | –                                                 |
| attention    | attention received         | image          | `attention`, or else computed (τ = 0.1, streamed) |
| distinctness | few near-copies (SHIRG-v4) | –              | –                                                 |
| edge         | edge density               | image          | `edges`                                           |
| relevance    | max_j cos(v_i, t_j)        | image          | `text`                                            |

Normalising per view is what lets crops of one image compete; with one view it does not change the ranking.

Exact K: yes. Cost: O(N·D) for the first three, O(N²·D) without the N×N matrix for a computed attention, O(N²·64) for
distinctness, O(N·M·D) for relevance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, Unpack, get_args

import torch
from torch import Tensor

from shirg_core.budget import Budget, check_budget
from shirg_core.checks import check_choice
from shirg_core.layout import ViewLayout
from shirg_core.scores import attention_received, combine, minmax
from shirg_core.selection import Selection
from shirg_core.selection.assemble import keep_best, prepared
from shirg_core.selection.inputs import Inputs
from shirg_core.selection.recipe import Given, Weights
from shirg_core.selection.reference import weighted

Score: TypeAlias = Literal["variance", "magnitude", "gradient", "attention", "distinctness", "edge", "relevance"]


@dataclass(frozen=True)
class TopScore:
    """Keep the K tokens with the largest score.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
        score: which component ranks the tokens.
    """

    budget: Budget
    score: Score = "variance"

    def __post_init__(self) -> None:
        check_budget(self.budget)
        check_choice("score", self.score, get_args(Score))

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Choose tokens; shapes and errors as in `Selector`."""
        features, k = prepared(features, layout, self.budget, inputs)
        with torch.no_grad():
            scores = combine([(1.0, self._component(features, layout, inputs))], features, layout)
        return keep_best(features, layout, k, scores, f"top-{self.score}")

    def _component(self, features: Tensor, layout: ViewLayout, inputs: Inputs) -> Tensor:
        """`[B, N]`, normalised to [0, 1]."""
        given = Given(inputs.get("text"), inputs.get("text_mask"), inputs.get("edges"), inputs.get("attention"))
        if self.score == "attention":
            attention = attention_received(features, layout) if given.attention is None else given.attention
            return minmax(attention, layout, "image")
        if self.score == "edge" and given.edges is None:
            raise ValueError("top-k by edge needs `edges` [B, N]")
        if self.score == "relevance" and given.text is None:
            raise ValueError("top-k by relevance needs `text` [B, M, D]")
        name = "edges" if self.score == "edge" else self.score
        return weighted(Weights(**{name: 1.0}), features, layout, given)[name][1]
