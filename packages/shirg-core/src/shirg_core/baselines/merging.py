"""From groups of tokens to a `Selection`: each group becomes the mean of its members.

    z_g = 1/|g| · Σ_{i ∈ g} v_i

A group's index is the token that stands for it, its first one unless a method says otherwise, so raster order survives;
its region is the group itself. Gradients flow from each mean to every member. Scores say only which tokens stand for a
group: 1 for these, 0 for the others.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.constants import constant
from shirg_core.layout import ViewLayout
from shirg_core.scores import snap
from shirg_core.selection import Selection


def merge_groups(
    features: Tensor, stand_in: Tensor, layout: ViewLayout, k: int, method: str | None = None
) -> Selection:
    """Merge every group into its mean, accumulated in float32.

    Args:
        features: `[B, N, D]`, floating.
        stand_in: `[B, N]` int64, of each token's group the token that stands for it; −1 for padding.
        layout: geometry of the N tokens.
        k: number of groups, the same in every image.
        method: the name that the result carries.

    Returns:
        `Selection` with `kept [B, k, D]` the means, in the dtype of `features`.
    """
    n = stand_in.shape[1]
    here = torch.arange(n, device=stand_in.device)
    stands = stand_in == here
    indices = torch.where(stands, here, n).sort(dim=1).values[:, :k]
    number = stands.long().cumsum(1) - 1
    regions = number.gather(1, stand_in.clamp_min(0)).masked_fill(stand_in < 0, -1)
    means = [group_means(x, r, k) for x, r in zip(features, regions, strict=True)]
    kept = torch.stack(means).to(features.dtype)
    return Selection(indices, snap(stands, layout), regions, kept, None, layout, method)


def group_means(tokens: Tensor, group: Tensor, k: int) -> Tensor:
    """`tokens [n, D]`, `group [n]` int64 in [0, k), −1 = none → `[k, D]` float32 means."""
    # Tokens of no group are summed into one row more, which is cut off.
    slot = torch.where(group < 0, k, group)
    x = tokens.float()
    total = x.new_zeros(k + 1, x.shape[1]).index_add(0, slot, x)
    size = x.new_zeros(k + 1).index_add(0, slot, torch.ones_like(slot, dtype=x.dtype))
    return total[:k] / size[:k, None]


@constant
def unassigned_index(layout: ViewLayout, device: torch.device) -> Tensor:
    """`[n]` int64, ascending indices of the valid tokens outside pinned views: those that may be merged."""
    return (layout.valid_mask() & ~layout.pinned_mask()).nonzero().flatten().to(device)


def own_groups(layout: ViewLayout, device: torch.device) -> Tensor:
    """`[N]` int64, every valid token a group of its own; −1 for padding."""
    here = torch.arange(layout.n_tokens, device=device)
    return here.masked_fill(~layout.valid_mask(device), -1)
