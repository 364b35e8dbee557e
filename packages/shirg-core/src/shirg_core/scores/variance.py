"""Channel variance: tokens whose channels disagree carry detail, flat ones do not (SHIRG-v2's saliency).

    Var(v_i) = 1/D · Σ_d (v_id − mean_d v_id)²

| symbol | variable   | shape       |
|--------|------------|-------------|
| v      | features   | `[B, N, D]` |
| Var    | (returned) | `[B, N]`    |
"""

from __future__ import annotations

import torch
from torch import Tensor

SLAB_TOKENS = 512
"""Tokens worked on at a time: keeps temporaries small and in cache."""


def channel_variance(features: Tensor) -> Tensor:
    """Population variance over the channels of each token, in float32.

    Args:
        features: `[B, N, D]`, floating.

    Returns:
        `[B, N]` float32, ≥ 0, raw (not normalised).
    """
    return torch.cat([_variance(slab.float()) for slab in features.split(SLAB_TOKENS, dim=1)], dim=1)


def _variance(x: Tensor) -> Tensor:
    # Subtracting the mean first keeps precision where |mean| is large against the spread.
    spread = x - x.mean(dim=-1, keepdim=True)
    variance: Tensor = torch.linalg.vector_norm(spread, dim=-1).square() / x.shape[-1]
    return variance
