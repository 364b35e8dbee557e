"""Text evidence: text relevance measured against its own noise (SHIRG-v4).

    c_ij = cos(v_i, t_j) − mean_i cos(v_i, t_j)
    σ_j  = max( √(π/2) · mean_i |c_ij|, 1/√D )           noise of text token j here, at least a random one's
    f_j  = √(2 · ln(n·m)) · σ_j                          what the largest of n·m noisy cosines reaches
    R_i  = max_j min(1, max(0, c_ij / f_j − 1))

Where tokens are aligned with words, the tokens that a question is about lie far above the floor and R is near 1; where
they are not, nothing reaches it and R is 0. Min–max scaling (`scores.relevance`) stretches that nothing to full range.

| symbol | variable  | shape       |
|--------|-----------|-------------|
| v      | features  | `[B, N, D]` |
| t      | text      | `[B, M, D]` |
| n, m   | –         | selectable visual tokens, text tokens without padding |
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.constants import constant
from shirg_core.eager import can_ask
from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast
from shirg_core.scores.relevance import TILE, unit_rows
from shirg_core.scores.statistics import by_slabs, stacked


@without_autocast
def text_evidence(features: Tensor, text: Tensor, text_mask: Tensor | None, layout: ViewLayout) -> Tensor:
    """How far each token's best match with the text rises above what chance reaches, in float32.

    Args:
        features: `[B, N, D]`, floating.
        text: `[B, M, D]`, floating, in the same space as `features`.
        text_mask: `[B, M]` bool, False = padding; None = no padding.
        layout: geometry of the N tokens.

    Returns:
        `[B, N]` float32 in [0, 1]; 0 for padding.
    """
    valid = layout.valid_index(features.device)
    tokens = features if valid is None else features.index_select(1, valid)
    masks = [None] * len(features) if text_mask is None else text_mask.unbind()
    rows = stacked([_evidence(*each) for each in zip(tokens.unbind(), text.unbind(), masks, strict=True)])
    if valid is None:
        return rows
    scores = features.new_zeros(features.shape[:2], dtype=torch.float32)
    scores[:, valid] = rows
    return scores


def _of_largest(cosines: Tensor) -> Tensor:
    """`√(2 · ln(n·m))` of their number, `[]`."""
    return (2 * cosines.float().clamp_min(2).log()).sqrt()


@constant
def _largest(cosines: int, device: torch.device) -> Tensor:
    return _of_largest(torch.tensor(cosines)).to(device)


def _evidence(tokens: Tensor, text: Tensor, mask: Tensor | None) -> Tensor:
    """`[n, D]`, `[M, D]` → `[n]`."""
    words = unit_rows(text)
    n_words, fill = len(words), -len(words) % TILE
    directions = (F.pad(words, (0, 0, 0, fill)) if fill else words).T
    cosine = by_slabs(lambda x: unit_rows(x) @ directions, tokens)[:, :n_words]
    centred = cosine - cosine.mean(0)
    noise = (math.sqrt(math.pi / 2) * centred.abs().mean(0)).clamp_min(tokens.shape[1] ** -0.5)
    if mask is None or can_ask(mask):
        reached = _largest(len(tokens) * (n_words if mask is None else int(mask.count_nonzero())), tokens.device)
    else:
        reached = _of_largest(len(tokens) * mask.sum())
    floor = reached * noise
    above = (centred / floor - 1).clamp(0, 1)
    return (above if mask is None else above.masked_fill(~mask, 0.0)).amax(1)
