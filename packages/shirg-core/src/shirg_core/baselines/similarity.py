"""What published selectors share: the matrix of cosines, a greedy choice's order as scores, rounds of removal.

    C_ij = cos(v_i, v_j), rounded to multiples of 2⁻¹⁶

The rounding lets ties between equal tokens survive the noise of the product, as it does for scores. A zero vector has
cosine 0 with everything, itself included. N×N float32 in memory: 21 MB for 2304 tokens, 53 MB for 3645.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast
from shirg_core.scores.combine import SCORE_GRID


@without_autocast
def cosine_matrix(tokens: Tensor) -> Tensor:
    """`tokens [n, D]` of one image → `[n, n]` float32 cosines on the 2⁻¹⁶ grid.

    Images go one at a time: a batched product may round differently with the batch size, and a choice must not.
    """
    unit = F.normalize(tokens.float(), dim=-1)
    return (unit @ unit.T).mul_(SCORE_GRID).round_().div_(SCORE_GRID)


def valid_tokens(features: Tensor, layout: ViewLayout) -> Tensor:
    """`features [B, N, D]` → `[B, n, D]`, the tokens that are not padding."""
    keep = layout.valid_index(features.device)
    return features if keep is None else features.index_select(1, keep)


def pinned_tokens(layout: ViewLayout, device: torch.device) -> Tensor:
    """`[p]` int64, ascending positions of the pinned tokens among the valid ones."""
    keep = layout.valid_index(device)
    mask = layout.pinned_mask(device)
    valid = mask if keep is None else mask[keep]
    # A stable sort with a count known from the geometry, where `nonzero` would wait for the device.
    return valid.logical_not().to(torch.uint8).argsort(stable=True)[: layout.n_pinned]


def scores_from_order(picks: list[Tensor], layout: ViewLayout) -> Tensor:
    """Scores that rank tokens as a greedy method picked them: `(K − t) / K` for the t-th pick, 0 for the others.

    Args:
        picks: per image `[K]` int64, positions among the valid tokens, in the order of choice.
        layout: geometry of the N tokens.

    Returns:
        `[B, N]` float32.
    """
    order = torch.stack(picks)
    keep = layout.valid_index(order.device)
    order = order if keep is None else keep[order]
    k = order.shape[1]
    worth = (k - torch.arange(k, device=order.device)).to(torch.float32) / k
    return worth.new_zeros(len(picks), layout.n_tokens).scatter(1, order, worth.expand_as(order))


def scores_by_image(features: Tensor, layout: ViewLayout, score: Callable[[Tensor], Tensor]) -> Tensor:
    """`[B, N]`: `score`, `[n, D] → [n]`, of each image's valid tokens; 0 for padding."""
    scores = torch.stack([score(x) for x in valid_tokens(features, layout)])
    keep = layout.valid_index(features.device)
    return scores if keep is None else scores.new_zeros(features.shape[:2]).index_copy(1, keep, scores)


def even_rounds(n: int, k: int, rounds: int) -> Iterator[int]:
    """How many of n tokens go in each round, so that K are left: evenly, but never more than half of those there.

    Their authors remove tokens layer by layer.
    """
    while n > k:
        share = -(-(n - k) // max(rounds, 1))
        gone = min(share, n // 2)
        yield gone
        n, rounds = n - gone, rounds - 1
