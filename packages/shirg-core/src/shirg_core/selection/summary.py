"""The summary: one token standing for the dropped ones.

    mean:       z = 1/|dropped| · Σ_{i dropped} v_i                        (SHIRG-v2)
    attention:  z = Σ_{i dropped} A_i v_i / Σ_{i dropped} A_i              (SHIRG-v3, A not normalised)

Padding is neither kept nor dropped. Where the weights of all dropped tokens are zero, their mean is taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.eager import can_ask
from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast
from shirg_core.scores.statistics import slabs


@without_autocast
def summarise(features: Tensor, indices: Tensor, layout: ViewLayout, weights: Tensor | None = None) -> Tensor | None:
    """Average the dropped tokens.

    Args:
        features: `[B, N, D]`, floating; gradients flow to it.
        indices: `[B, K]` int64, the kept tokens.
        layout: geometry of the N tokens.
        weights: `[B, N]` ≥ 0, used as constants; None = the plain mean.

    Returns:
        `[B, 1, D]` in the dtype of `features`, accumulated in float32; None when nothing was dropped.
    """
    n_dropped = layout.n_selectable - indices.shape[1]
    if n_dropped == 0:
        return None
    if weights is None:
        share = _equal_share(indices, layout, n_dropped)
    else:
        of = _of_dropped(weights.detach().float(), indices, layout)
        total = of.sum(dim=1, keepdim=True)
        share = of / total
        if not (can_ask(total) and all(each > 0 for each in total.flatten().tolist())):
            share = torch.where(total > 0, share, _equal_share(indices, layout, n_dropped))
    if len(features) == 1:
        return _total(share, features.squeeze(0)).unsqueeze(0).to(features.dtype)
    pairs = zip(share.unsqueeze(1).unbind(), features.unbind(), strict=True)
    return torch.stack([_total(*pair) for pair in pairs]).to(features.dtype)


def _total(share: Tensor, tokens: Tensor) -> Tensor:
    """`[1, n] @ [n, D]` in float32; a part at a time where `tokens` have to be converted."""
    if tokens.dtype == torch.float32:
        return share @ tokens
    parts = slabs(tokens)
    total = torch.zeros((1, tokens.shape[1]), dtype=torch.float32, device=tokens.device)
    for part, weight in zip(parts, share.split([len(part) for part in parts], dim=1), strict=True):
        total = torch.addmm(total, weight, part.float())
    return total


def _equal_share(indices: Tensor, layout: ViewLayout, n_dropped: int) -> Tensor:
    """`[B, N]`, 1/n_dropped; 0 for kept tokens and padding."""
    shape = len(indices), layout.n_tokens
    share = torch.full(shape, 1 / n_dropped, dtype=torch.float32, device=indices.device)
    return _of_dropped(share, indices, layout)


def _of_dropped(x: Tensor, indices: Tensor, layout: ViewLayout) -> Tensor:
    """`x [B, N]` with 0 for kept tokens and padding."""
    x = x.scatter(1, indices, 0.0)
    return x.masked_fill(~layout.valid_mask(x.device), 0.0) if layout.has_padding else x
