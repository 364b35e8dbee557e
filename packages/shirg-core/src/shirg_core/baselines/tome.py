"""Token merging, ToMe (arXiv 2210.09461): bipartite soft matching, a few merges a round, until K tokens are left.

A round on n tokens in order, the second, fourth, … are A, the first, third, … are B:

    each a ∈ A finds  b(a) = argmax_{b ∈ B} cos(x_a, x_b)                 (ties: the first b)
    the r most similar pairs merge                                        (ties: the first a)
    x_b ← Σ size·x / Σ size over b and the a's that joined it             = the mean of all tokens merged so far
    order ← what is left of A, then B

T rounds share the N − K merges evenly, like the paper's constant r per layer. A round can merge no more than half of
its tokens, so K < N / (T + 1) takes further rounds of halving. ToMe works inside a vision transformer, on attention
keys, and its r is small (8 to 16 of 197 tokens); here all rounds are on the features, one after another. One round
would merge half of the page at once, pairs that are not alike among them. Order and halves are those of the authors'
code behind the CLS token that their models have. How many rounds there are, and every shape, follow from N, K and T
alone. Tokens of pinned views are neither merged nor merged into.

A cosine of means is one of sums, and products of sums are sums of products: one N×N product serves all rounds, each of
which adds the rows and columns that merge.

Exact K: yes; the kept tokens are means (`merging`), in the order of their first tokens. Needs: features only.
Cost: O(N²·D) once and O(N²/4) a round; N×N in memory, one image at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from shirg_core.baselines.merging import merge_groups, own_groups, unassigned_index
from shirg_core.baselines.similarity import even_rounds
from shirg_core.budget import Budget, check_budget
from shirg_core.checks import integer, keep
from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast
from shirg_core.scores.combine import SCORE_GRID
from shirg_core.selection import Selection
from shirg_core.selection.assemble import prepared
from shirg_core.selection.inputs import Inputs

SMALLEST = 1e-24
"""Squared norm below which a token counts as zero, whose cosine with everything is 0."""


@dataclass(frozen=True)
class TokenMerging:
    """Merge the most similar tokens until K are left.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
        rounds: T ≥ 1. With few rounds, tokens merge that resemble nothing on the other side.
    """

    budget: Budget
    rounds: int = 24

    def __post_init__(self) -> None:
        check_budget(self.budget)
        keep(self, integer, "rounds", low=1)

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Merge tokens; shapes and errors as in `Selector`, regions are the groups.

        Raises:
            ValueError: also when the pinned tokens leave no room for the others.
        """
        features, k = prepared(features, layout, self.budget, inputs)
        unassigned = unassigned_index(layout, features.device)
        capacity = k - layout.n_pinned
        if capacity == 0 and unassigned.numel():
            raise ValueError(
                f"budget K={k} holds the pinned tokens only; the other {unassigned.numel()} need room for one"
            )
        group = own_groups(layout, features.device)
        with torch.no_grad():
            first = [
                group.scatter(0, unassigned, unassigned[merge_until(x[unassigned], capacity, self.rounds)])
                for x in features
            ]
        return merge_groups(features, torch.stack(first), layout, k, "tome")


@without_autocast
def merge_until(tokens: Tensor, k: int, rounds: int) -> Tensor:
    """`tokens [n, D]` of one image → `[n]` int64, the first token of the group that each token ends up in.

    The product is computed once and updated in place; a token that merged keeps its row, which nothing reads again.
    """
    n = tokens.shape[0]
    x = tokens.float()
    product = x @ x.T
    here = torch.arange(n, device=tokens.device)
    order, place = here, here
    for r in even_rounds(n, k, rounds):
        a, b = order[1::2], order[0::2]
        scale = product.diagonal().clamp_min(SMALLEST).rsqrt()
        cosine = product.index_select(0, a).index_select(1, b).mul_(scale[a, None]).mul_(scale[b] * SCORE_GRID)
        # Rounded to the grid of the scores, so that equal tokens tie whatever the noise of the product.
        best, partner = cosine.round_().max(dim=1)
        joining = best.argsort(descending=True, stable=True)[:r]
        gone, target = a[joining], b[partner[joining]]
        product.index_add_(0, target, product.index_select(0, gone))
        product.index_add_(1, target, product.index_select(1, gone))
        place = here.index_copy(0, gone, target)[place]
        # The places of the a's that stay, ascending: a stable sort of 0 before 1, with a length known from the shapes.
        left = torch.zeros_like(a).index_fill(0, joining, 1).argsort(stable=True)[: a.numel() - r]
        order = torch.cat([a[left], b])
    return torch.full_like(here, n).scatter_reduce(0, place, here, "amin")[place]
