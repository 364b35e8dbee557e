"""SAINT, bipartite vote (arXiv 2503.11549): tokens of one half are dropped by how many of the other half they resemble.

A round on n tokens in order, the first, third, … are A, the second, fourth, … are B:

    n_a = |{b ∈ B: cos(v_a, v_b) ≥ τ}|                                    votes
    m_a = mean of cos(v_a, v_b) over those b
    s_a = n_a · exp(γ·(m_a − τ)) where n_a > 0, else the mean of cos(v_a, b) over all of B      redundancy
    the r tokens of A with the largest s_a are dropped                    (ties: the last a)
    order ← what is left of A, most redundant first, then B

This is the vote of the authors' code for vision transformers, τ, γ and order included. There r is the number of tokens
with n_a ≥ 5, averaged over the batch, so that no K can be asked for. Here the same scores are ranked and r is given: T
rounds share the N − K drops evenly, none of them more than half of its tokens, so that small K take further rounds.
The code votes on attention keys inside the layers, here all rounds are on the features. The other variant is `saint`.

Scores are compared as logarithms on the 2⁻¹⁶ grid, and cosines lie on it. Padding is no token; pinned ones are part of
every B.

Exact K: yes. Needs: features only. Cost: O(N²·D) once and O(N²/4) a round; N×N twice in memory, one image at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from shirg_core.baselines.similarity import cosine_matrix, even_rounds, pinned_tokens, scores_by_image
from shirg_core.budget import Budget, check_budget
from shirg_core.checks import integer, keep, real
from shirg_core.layout import ViewLayout
from shirg_core.scores import snap
from shirg_core.scores.combine import SCORE_GRID
from shirg_core.selection import Selection
from shirg_core.selection.assemble import keep_best, prepared
from shirg_core.selection.inputs import Inputs

SHARPNESS = 10.0
"""γ."""


@dataclass(frozen=True)
class BipartiteVote:
    """Keep K tokens by dropping, half by half, those that many others resemble.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
        threshold: τ in [−1, 1], the cosine from which on one token votes against another.
        rounds: T ≥ 1. With few rounds, half of the tokens go at once, unlike ones among them.
    """

    budget: Budget
    threshold: float = 0.7
    rounds: int = 24

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
                features, layout, lambda x: vote_out(cosine_matrix(x), k, self.threshold, self.rounds, pinned)
            )
        return keep_best(features, layout, k, snap(scores, layout), "saint-vote")


def vote_out(cosine: Tensor, k: int, threshold: float, rounds: int, pinned: Tensor) -> Tensor:
    """Drop all but K tokens.

    Args:
        cosine: `[n, n]` float32 on the 2⁻¹⁶ grid.
        k: tokens to keep, at least as many as pinned.
        threshold: τ.
        rounds: T.
        pinned: `[p]` int64, never dropped.

    Returns:
        `[n]` float32: 1 for the kept tokens, t / R for those dropped in round t = 0, 1, … of R.
    """
    here = torch.arange(cosine.shape[0], device=cosine.device)
    fixed = torch.zeros_like(here).index_fill(0, pinned, 1)
    order = fixed.argsort(stable=True)[: here.numel() - pinned.numel()]
    score = torch.ones_like(here, dtype=torch.float32)
    # One more on both sides: the first half of an odd number is the larger one.
    counts = list(even_rounds(order.numel() + 1, k - pinned.numel() + 1, rounds))
    for t, r in enumerate(counts):
        a, b = order[0::2], order[1::2]
        worth = redundancy(cosine.index_select(0, a).index_select(1, torch.cat([b, pinned])), threshold)
        # Sorted from the back, so that of equal tokens the last goes first.
        ranked = a.flip(0)[worth.flip(0).argsort(descending=True, stable=True)]
        score = score.index_fill(0, ranked[:r], t / len(counts))
        order = torch.cat([ranked[r:], b])
    return score


def redundancy(cosine: Tensor, threshold: float) -> Tensor:
    """`cosine [a, b]` on the 2⁻¹⁶ grid → `[a]` float64: log s_a where there are votes, else s_a − 2.

    With votes s_a ≥ 1, so its logarithm is ≥ 0 and above every mean less 2. Sums of multiples of 2⁻¹⁶ are exact.
    """
    votes = cosine >= threshold
    count = votes.sum(1)
    mean = cosine.mul(votes).sum(1, dtype=torch.float64) / count.clamp_min(1)
    score = count.clamp_min(1).double().log() + SHARPNESS * (mean - threshold)
    score = torch.where(count > 0, score, cosine.sum(1, dtype=torch.float64) / cosine.shape[1] - 2.0)
    return score.mul(SCORE_GRID).round()
