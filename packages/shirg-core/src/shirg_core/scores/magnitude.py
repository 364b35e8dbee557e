"""Feature magnitude: `M_i = ‖v_i‖₂` (SHIRG-v3). `v` = features `[B, N, D]`, `M` `[B, N]`."""

from __future__ import annotations

import torch
from torch import Tensor


def feature_magnitude(features: Tensor) -> Tensor:
    """L2 norm of each token, in float32.

    Args:
        features: `[B, N, D]`, floating.

    Returns:
        `[B, N]` float32, ≥ 0, raw (not normalised).
    """
    length: Tensor = torch.linalg.vector_norm(features.float(), dim=-1)
    return length
