"""The summary: one token standing for the dropped ones.

    mean:       z = 1/|dropped| · Σ_{i dropped} v_i                        (SHIRG-v2)
    attention:  z = Σ_{i dropped} A_i v_i / Σ_{i dropped} A_i              (SHIRG-v3, A not normalised)

Padding is neither kept nor dropped. Where the weights of all dropped tokens are zero, their mean is taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast


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
    dropped = layout.valid_mask(features.device).expand(features.shape[:2]).scatter(1, indices, value=False)
    uniform = dropped.float() / n_dropped
    share = uniform if weights is None else _shares(weights.detach().float().where(dropped, 0.0), uniform)
    rows = [s[None] @ x.float() for s, x in zip(share, features, strict=True)]
    return torch.stack(rows).to(features.dtype)


def _shares(weights: Tensor, uniform: Tensor) -> Tensor:
    total = weights.sum(dim=1, keepdim=True)
    return torch.where(total > 0, weights / torch.where(total > 0, total, torch.ones_like(total)), uniform)
