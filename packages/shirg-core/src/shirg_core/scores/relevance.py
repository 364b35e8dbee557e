"""Text relevance: how similar a visual token is to the text token it matches best (SHIRG-v2).

    R_i = max_j cos(v_i, t_j)

| symbol | variable  | shape       |
|--------|-----------|-------------|
| v      | features  | `[B, N, D]` |
| t      | text      | `[B, M, D]` |
| j      | text_mask | `[B, M]`    |
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.precision import without_autocast
from shirg_core.scores.statistics import by_slabs, feature_magnitude, stacked

TILE = 16


def unit_rows(tokens: Tensor) -> Tensor:
    """`v/‖v‖` of `[…, D]`, in float32; a zero vector stays one."""
    values = tokens.float()
    length: Tensor = torch.linalg.vector_norm(values, dim=-1, keepdim=True)
    return values / length.clamp_min(1e-12)


@without_autocast
def text_relevance(
    features: Tensor, text: Tensor, text_mask: Tensor | None = None, *, norm: Tensor | None = None
) -> Tensor:
    """Largest cosine of each visual token with any text token, in float32.

    A zero vector has cosine 0 with everything.

    Args:
        features: `[B, N, D]`, floating.
        text: `[B, M, D]`, floating, in the same space as `features`.
        text_mask: `[B, M]` bool, False = padding. Every row needs at least one True.
        norm: `feature_magnitude(features)`, where it is known.

    Returns:
        `[B, N]` float32 in [−1, 1], raw (not normalised).
    """
    n_text = text.shape[1]
    # Matrix products round the last few columns of an odd shape differently; whole tiles keep copies of a token equal.
    directions = unit_rows(text)
    if fill := -n_text % TILE:
        directions = F.pad(directions, (0, 0, 0, fill))
    # One product per image: a batched product may round differently with the batch size, and a choice must not.
    pairs = zip(directions.mT.unbind(), features.unbind(), strict=True)
    cosine = stacked([by_slabs(partial(torch.matmul, other=words), tokens) for words, tokens in pairs])[..., :n_text]
    if text_mask is not None:
        cosine = cosine.masked_fill(~text_mask[:, None, :], -torch.inf)
    norm = feature_magnitude(features) if norm is None else norm
    return cosine.amax(dim=-1) / norm.clamp_min(torch.finfo(torch.float32).tiny)
