"""Token merging, ToMe (arXiv 2210.09461): bipartite soft matching, repeated until exactly K tokens are left.

A round on n tokens in order, the even ones A and the odd ones B:

    each a ∈ A finds  b(a) = argmax_{b ∈ B} cos(x_a, x_b)                 (ties: the first b)
    the r most similar pairs merge,  r = min(⌊n/2⌋, n − K)                (ties: the first a)
    x_b ← Σ size·x / Σ size over b and the a's that joined it             = the mean of all tokens merged so far

The number of rounds and every shape follow from N and K alone. Merged tokens are ordered by their first token. ToMe
works inside a vision transformer, on attention keys, a few merges per layer; here it is applied once, to the features.
Tokens of pinned views are neither merged nor merged into.

Exact K: yes; the kept tokens are means (`merging`). Needs: features only. Cost: O(N²·D / 4) for the first round, each
further one a quarter of the one before; (N/2)² in memory, one image at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.baselines.call import Inputs, check_call
from shirg_core.baselines.merging import loose_index, merge_groups, own_groups
from shirg_core.budget import Budget, check_budget, kept_tokens
from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast
from shirg_core.reference import without_padding
from shirg_core.scores.combine import SCORE_GRID
from shirg_core.selection import Selection


@dataclass(frozen=True)
class TokenMerging:
    """Merge the most similar tokens until K are left.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1) of the selectable tokens.
    """

    budget: Budget
    exact_k: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_budget(self.budget)

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Merge tokens; shapes and errors as in `Selector`, regions are the groups.

        Raises:
            ValueError: also when the pinned tokens leave no room for the others.
        """
        check_call(features, layout, **inputs)
        k = kept_tokens(self.budget, layout)
        loose = loose_index(layout, features.device)
        room = k - layout.n_pinned
        if room == 0 and loose.numel():
            raise ValueError(f"budget K={k} holds the pinned tokens only; the other {loose.numel()} need room for one")
        features = without_padding(features, layout)
        group = own_groups(layout, features.device)
        with torch.no_grad():
            first = [group.scatter(0, loose, loose[merge_until(x[loose], room)]) for x in features]
        return merge_groups(features, torch.stack(first), layout, k)


class _State(NamedTuple):
    """n tokens on the way: `x [n, D]`, `size [n]`, `first [n]` their first token, `place [N]` where each token is."""

    x: Tensor
    size: Tensor
    first: Tensor
    place: Tensor


@without_autocast
def merge_until(tokens: Tensor, k: int) -> Tensor:
    """`tokens [n, D]` of one image → `[n]` int64, the first token of the group that each token ends up in."""
    here = torch.arange(tokens.shape[0], device=tokens.device)
    state = _State(tokens.float(), tokens.new_ones(tokens.shape[0], dtype=torch.float32), here, here)
    while state.x.shape[0] > k:
        n = state.x.shape[0]
        state = _round(state, min(n // 2, n - k))
    return state.first[state.place]


def _round(state: _State, r: int) -> _State:
    n, device = state.x.shape[0], state.x.device
    unit = F.normalize(state.x, dim=-1)
    # Rounded to the grid of the scores, so that equal tokens tie whatever the noise of the product.
    best, partner = (unit[0::2] @ unit[1::2].T).mul_(SCORE_GRID).round_().max(dim=1)
    joining = best.argsort(descending=True, stable=True)[:r]
    here = torch.arange(n, device=device)
    target = here.index_copy(0, 2 * joining, 2 * partner[joining] + 1)
    first = state.first.scatter_reduce(0, target, state.first, "amin")
    gone = target != here
    # Survivors in the order of their first token; the merged-away ones sort last and are cut off.
    order = first.masked_fill(gone, torch.iinfo(torch.int64).max).argsort()[: n - r]
    slot = torch.zeros_like(here).scatter(0, order, here[: n - r])
    weighted = torch.zeros_like(state.x).index_add(0, target, state.x * state.size[:, None])
    size = torch.zeros_like(state.size).index_add(0, target, state.size)
    return _State(weighted[order] / size[order, None], size[order], first[order], slot[target[state.place]])
