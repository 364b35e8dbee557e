"""Random: K tokens drawn without replacement, the floor that every method must clear.

    s_i = rank of token i in a permutation of the N tokens drawn from `seed`, divided by N

The draw depends on the seed and the number of tokens only: every image of a batch gets the same choice, so an image
gets the same tokens alone and in any batch position. Draw another with another seed. Pinned tokens are always kept.

Exact K: yes. Needs: nothing. Cost: a top-k.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from shirg_core.budget import Budget, check_budget
from shirg_core.checks import keep, random_seed
from shirg_core.constants import constant
from shirg_core.layout import ViewLayout
from shirg_core.scores import snap
from shirg_core.selection import Selection
from shirg_core.selection.assemble import keep_best, prepared
from shirg_core.selection.inputs import Inputs


@dataclass(frozen=True)
class RandomTokens:
    """Keep K tokens at random.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
        seed: of the draw, in [0, 2⁶³); the same on every device.
    """

    budget: Budget
    seed: int = 0

    def __post_init__(self) -> None:
        check_budget(self.budget)
        keep(self, random_seed, "seed")

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Choose tokens; shapes and errors as in `Selector`."""
        features, k = prepared(features, layout, self.budget, inputs)
        draw = random_scores(layout.n_tokens, self.seed, features.device).expand(features.shape[:2])
        return keep_best(features, layout, k, snap(draw, layout), "random")


@constant
def random_scores(n: int, seed: int, device: torch.device) -> Tensor:
    """`[N]` float32, a permutation of 0, 1/N, …, (N − 1)/N."""
    # Drawn on the CPU, because generators differ between devices.
    return (torch.randperm(n, generator=torch.Generator().manual_seed(seed)).to(torch.float32) / n).to(device)
