"""Farthest point, DivPrune (arXiv 2503.02175): a spread-out set by greedy max–min cosine distance.

    max over S, |S| = K, of  min_{i ≠ j ∈ S} d(i, j),   d(i, j) = 1 − cos(v_i, v_j)          (NP-hard; greedily:)
    first:  argmax_i min_{j ≠ i} d(i, j)                 the token farthest from its nearest neighbour
    next:   argmax_{i ∉ S} min_{j ∈ S} d(i, j)           the token farthest from all chosen ones

Ties go to the lowest index, on cosines rounded to 2⁻¹⁶. Pinned tokens count as chosen from the start.

Exact K: yes. Needs: features only. Cost: O(N²·D) once, then K steps of O(N) one after another; N×N in memory, one image
at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from shirg_core.baselines.similarity import cosine_matrix, pinned_tokens, scores_from_order, valid_tokens
from shirg_core.budget import Budget, check_budget
from shirg_core.layout import ViewLayout
from shirg_core.scores import snap
from shirg_core.selection import Selection
from shirg_core.selection.assemble import keep_best, prepared
from shirg_core.selection.inputs import Inputs


@dataclass(frozen=True)
class FarthestPoint:
    """Keep K tokens far from one another.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
    """

    budget: Budget

    def __post_init__(self) -> None:
        check_budget(self.budget)

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Choose tokens; shapes and errors as in `Selector`. Scores fall with the order of choice."""
        features, k = prepared(features, layout, self.budget, inputs)
        with torch.no_grad():
            pinned = pinned_tokens(layout, features.device)
            picks = [max_min_order(cosine_matrix(x), k, pinned) for x in valid_tokens(features, layout)]
            scores = snap(scores_from_order(picks, layout), layout)
        return keep_best(features, layout, k, scores, "divprune")


def max_min_order(cosine: Tensor, k: int, pinned: Tensor) -> Tensor:
    """The greedy order: first the pinned tokens, then always the one least similar to its nearest chosen token.

    Args:
        cosine: `[n, n]`; overwritten on the diagonal.
        k: tokens to choose, at least as many as pinned.
        pinned: `[p]` int64, chosen from the start.

    Returns:
        `[k]` int64.
    """
    cosine.fill_diagonal_(-torch.inf)
    if pinned.numel():
        picks = [pinned]
        nearest = cosine.index_select(0, pinned).amax(0).index_fill_(0, pinned, torch.inf)
    else:
        picks = [cosine.amax(1).argmin(0, keepdim=True)]
        nearest = cosine.index_select(0, picks[0])[0].index_fill_(0, picks[0], torch.inf)
    for _ in range(k - picks[0].numel()):
        pick = nearest.argmin(0, keepdim=True)
        picks.append(pick)
        nearest = torch.maximum(nearest, cosine.index_select(0, pick)[0]).index_fill_(0, pick, torch.inf)
    return torch.cat(picks)
