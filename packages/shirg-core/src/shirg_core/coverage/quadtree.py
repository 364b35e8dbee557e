"""Blocks of several scales: a quadtree over each view, whose busiest blocks are split until there are M of them.

    var(b)  = 1/|b| · Σ_{i ∈ b} ‖v_i − v̄_b‖²                               v̄_b = mean of the block's tokens
            = (1 − q)·var(b₁) + q·var(b₂) + q·(1 − q)·‖v̄_{b₁} − v̄_{b₂}‖²     b₁, b₂ = its halves, q = |b₂| / |b|
    busy(b) = max(var(b), busy(b₁), busy(b₂))                              0 for a single token

A view is one block at first, the smallest 2ⁱ × 2ʲ box around it. The busiest block is split, again and again; ties: the
one fewer splits away from its view, then in order. A quadtree's split into four is taken as three halvings, first of
the height, then of the width, so that each adds one block and every M is met exactly; a half without tokens is no
block. Blank paper stays a few large blocks; print, which is busy however little of a block it fills, is cut down to
single tokens.

No block is less busy than its halves, so the splits are the largest of all values of `busy`: one sort, no loop over
blocks, and the blocks of a larger M lie inside those of a smaller one. Every shape follows from the geometry.

| symbol | variable | shape                                          |
|--------|----------|------------------------------------------------|
| v      | features | `[B, N, D]`                                    |
| busy   | busy     | `[B, S]`, of the S blocks that could be split  |
| q      | share    | `[s]`, of the blocks of one level              |
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.budget import BudgetError, region_limit
from shirg_core.coverage.block_tree import Level, block_tree, n_roots
from shirg_core.coverage.clusters import number_by_first_token
from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast


def quadtree_regions(features: Tensor, layout: ViewLayout, budget: int, share: float) -> Tensor:
    """Region of every token: max(views, ⌊share·K⌋) blocks, no more than K has room for. A pinned view is one region.

    Arguments and result are as of `shirg_core.coverage.clusters.cluster_regions`.

    Raises:
        BudgetError: K is smaller than the number of pinned tokens and of the other views.
    """
    pinned = sum(view.pinned for view in layout.views)
    most = region_limit(layout, budget, share) - pinned
    blocks = min(max(most, n_roots(layout)), budget - layout.n_pinned)
    label, valid = quadtree_blocks(features, layout, blocks), layout.valid_mask(features.device)
    here = torch.arange(layout.n_tokens, device=features.device)
    return number_by_first_token(torch.where(valid, label, here), layout)


@without_autocast
def quadtree_blocks(features: Tensor, layout: ViewLayout, blocks: int) -> Tensor:
    """The token at the centre of every token's block.

    Args:
        features: `[B, N, D]`, floating.
        layout: geometry of the N tokens.
        blocks: M, at most the number of valid tokens outside pinned views.

    Returns:
        `[B, N]` int64: of the block's tokens, the one nearest to the middle of them all (ties: the first). A pinned
        view is one block, which is not counted; padding is −1.

    Raises:
        BudgetError: M is smaller than the number of views that need a block.
    """
    roots = n_roots(layout)
    if blocks < roots:
        raise BudgetError(
            f"budget K={blocks + layout.n_pinned} is smaller than the {roots + layout.n_pinned} tokens that a quadtree "
            f"needs: {layout.n_pinned} pinned and one for each of {roots} other views"
        )
    levels, ancestors, centres = block_tree(layout, features.device)
    busy = _busy(features, levels)
    busiest = busy.argsort(dim=1, descending=True, stable=True)[:, : blocks - roots]
    # One column more, of ancestors that are not there.
    split = torch.zeros(len(busy), busy.shape[1] + 1, dtype=torch.int64, device=busy.device)
    depth = split.scatter(1, busiest, 1)[:, ancestors].sum(-1)
    return centres.expand(len(busy), -1, -1).gather(2, depth[..., None]).squeeze(-1)


def _busy(features: Tensor, levels: tuple[Level, ...]) -> Tensor:
    """`[B, S]` float32, of the blocks that could be split, the largest first."""
    x = features.float()
    mean, variance = x[:, :0], x[:, :0, 0]
    busy, found = variance, [variance]
    for tokens, first, second, share in reversed(levels):
        gap = mean[:, second] - mean[:, first]
        within = (1 - share) * variance[:, first] + share * variance[:, second]
        own = within + share * (1 - share) * gap.square().sum(-1)
        most = torch.maximum(own, torch.maximum(busy[:, first], busy[:, second]))
        found.append(most)
        # A single token has no variance.
        mean = torch.cat([x[:, tokens], mean[:, first] + gap * share[:, None]], dim=1)
        variance, busy = (F.pad(each, (len(tokens), 0)) for each in (own, most))
    return torch.cat(found[::-1], dim=1)
