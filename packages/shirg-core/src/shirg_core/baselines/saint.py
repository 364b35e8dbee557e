"""SAINT, full graph (arXiv 2503.11549): drop the tokens that resemble many others, by all similarities of tokens.

    w_ij = cos(v_i, v_j) where it exceeds τ and i ≠ j, else 0
    deg_i = Σ_{j still there} w_ij                                        redundancy
    each of T rounds drops the (N − K) / T tokens of largest degree, then degrees are taken among the rest

Rounds matter: in one, all copies of a token would go at once. Among equal degrees the highest index goes first. Degrees
are sums of integers (cosines on the 2⁻¹⁶ grid), so they are the same in any order of summation. This is the variant of
the authors' code for vision–language models, which has no τ (−1 here) and drops a sixteenth or less of the tokens a
round; few rounds read micro pages better. The vote of their code for vision transformers is `saint_vote`. SAINT works
inside the layers; here it is applied once, to the features. Padding is no node; pinned tokens are, and are never
dropped.

Exact K: yes. Needs: features only. Cost: O(N²·D) once and O(N²) for all rounds together; N×N twice in memory, one image
at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from shirg_core.baselines.similarity import cosine_matrix, pinned_tokens, scores_by_image
from shirg_core.budget import Budget, check_budget
from shirg_core.checks import integer, keep, real
from shirg_core.layout import ViewLayout
from shirg_core.scores import snap
from shirg_core.scores.combine import SCORE_GRID
from shirg_core.selection import Selection
from shirg_core.selection.assemble import keep_best, prepared
from shirg_core.selection.inputs import Inputs


@dataclass(frozen=True)
class SimilarityGraph:
    """Keep K tokens by dropping the most redundant ones.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
        threshold: τ in [−1, 1], the cosine above which two tokens are joined by an edge.
        rounds: T ≥ 1. With few rounds, groups of near copies may vanish as a whole.
    """

    budget: Budget
    threshold: float = 0.0
    rounds: int = 4

    def __post_init__(self) -> None:
        check_budget(self.budget)
        keep(self, real, "threshold", low=-1, high=1)
        keep(self, integer, "rounds", low=1)

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Choose tokens; shapes and errors as in `Selector`. Scores rise with the round a token was dropped in."""
        features, k = prepared(features, layout, self.budget, inputs)
        with torch.no_grad():
            pinned = pinned_tokens(layout, features.device)
            scores = scores_by_image(
                features, layout, lambda x: survival(similarity_weights(x, self.threshold), k, self.rounds, pinned)
            )
        return keep_best(features, layout, k, snap(scores, layout), "saint")


def similarity_weights(tokens: Tensor, threshold: float) -> Tensor:
    """`tokens [n, D]` → `[n, n]` int32, edge weights in units of 2⁻¹⁶."""
    cosine = cosine_matrix(tokens).fill_diagonal_(0.0)
    return cosine.masked_fill_(cosine <= threshold, 0.0).mul_(SCORE_GRID).int()


def survival(weights: Tensor, k: int, rounds: int, pinned: Tensor) -> Tensor:
    """Drop all but K tokens.

    Args:
        weights: `[n, n]` int32, symmetric.
        k: tokens to keep, at least as many as pinned.
        rounds: T.
        pinned: `[p]` int64, never dropped.

    Returns:
        `[n]` float32: 1 for the kept tokens, t / T for those dropped in round t = 0, 1, …
    """
    n = weights.shape[0]
    here = torch.arange(n, device=weights.device)
    degree = weights.sum(0, dtype=torch.int64)
    last = torch.iinfo(torch.int64).min
    # Degree and index in one integer: of two equal degrees the higher index is the larger key.
    fixed = torch.zeros_like(here, dtype=torch.bool).index_fill(0, pinned, value=True)
    score = torch.ones(n, dtype=torch.float32, device=weights.device)
    for t in range(rounds):
        count = (n - k) * (t + 1) // rounds - (n - k) * t // rounds
        dropped = (degree * n + here).masked_fill(fixed, last).topk(count).indices
        fixed = fixed.index_fill(0, dropped, value=True)
        score = score.index_fill(0, dropped, t / rounds)
        degree = degree - weights.index_select(0, dropped).sum(0, dtype=torch.int64)
    return score
