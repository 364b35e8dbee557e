"""Channel variance: tokens whose channels disagree carry detail, flat ones do not (SHIRG-v2's saliency).

    Var(v_i) = 1/D · Σ_d (v_id − mean_d v_id)²

| symbol | variable   | shape       |
|--------|------------|-------------|
| v      | features   | `[B, N, D]` |
| Var    | (returned) | `[B, N]`    |
"""

from __future__ import annotations

from torch import Tensor


def channel_variance(features: Tensor) -> Tensor:
    """Population variance over the channels of each token, in float32.

    Args:
        features: `[B, N, D]`, floating.

    Returns:
        `[B, N]` float32, ≥ 0, raw (not normalised).
    """
    x = features.float()
    # Two passes: subtracting the mean first keeps precision where |mean| is large against the spread.
    return (x - x.mean(dim=-1, keepdim=True)).square().mean(dim=-1)
