"""VisionSelector: a learned score, and a top-k that gradients pass.

    s_n = 1/N · Σ_m (x_n W_q)(x_m W_k)ᵀ / √h                              x: projected tokens, RMS 1
    m_n = σ(s_n + t),  t such that Σ_n m_n = K                            soft choice; t by bisection
    loss = CE(answers | x weighted by m) + λ · BCE(m, top-K(s))           λ grows from 0 to 1

The weight is a factor of all attention that the token receives: m = 0 is what dropping it does. At first all N tokens
stay, and m is annealed from the soft choice to the hard one; then only the K chosen ones are in the prefix, as at
inference, and gradients go straight through the choice.

Exact K: yes. Reads no question. The paper trains the score alone; here, as all that it is compared with, projector and
language model learn, too.

Source:
    Zhu et al. 2025, arXiv 2510.16598.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shirg_lavida.model import LavidaModel
from shirg_train.testbed.compressors.contract import Compressed, Compressor
from shirg_train.testbed.compressors.grid import keep_top
from shirg_train.testbed.micro.batches import MicroBatch
from shirg_train.testbed.micro.visual import tower_features

SOFT_SHARE = 0.3
"""Share of the steps in which the choice is annealed from soft to hard."""
BISECTIONS = 40


class VisionSelector(Compressor):
    """See the module."""

    method = "vision-selector"

    def __init__(self, model: LavidaModel) -> None:
        super().__init__(model)
        width = model.config.language.d_model
        self.query, self.key = (nn.Linear(width, width, bias=False) for _ in range(2))

    def scores(self, x: Tensor) -> Tensor:
        """`x [B, N, d]` → `[B, N]`."""
        # At one scale, for projected tokens may be large: no choice is certain before anything is learnt.
        x = F.rms_norm(x, x.shape[-1:])
        # The mean over keys is taken before the product: N·d instead of N²·d.
        against = self.key(x).mean(dim=1, keepdim=True)
        scores: Tensor = (self.query(x) * against).sum(-1) / x.shape[-1] ** 0.5
        return scores

    def forward(self, model: LavidaModel, batch: MicroBatch, k: int | None, done: float | None = None) -> Compressed:
        """See `Compressor`."""
        assert k is not None, "its K is free"
        x = model.projector(tower_features(model, batch.images))
        scores = self.scores(x).float()
        if done is None:
            return Compressed(keep_top(x, scores, k))
        soft = soft_top_k(scores, k)
        hard = keep_top(x, scores, k).mask.to(soft.dtype)
        losses = {"choice": done * F.binary_cross_entropy(soft.clamp(1e-6, 1 - 1e-6), hard)}
        annealed = min(1.0, done / SOFT_SHARE)
        through = hard + (soft - soft.detach())
        weights = (1 - annealed) * soft + annealed * through
        selection = keep_top(x, scores, x.shape[1] if annealed < 1 else k)
        return Compressed(selection, projected=x, weights=weights.gather(1, selection.indices), losses=losses)


def soft_top_k(scores: Tensor, k: int) -> Tensor:
    """`scores [B, N]` → `σ(s + t) [B, N]` that sum to K; differentiable, t included.

    The bisection itself has no gradient; one Newton step from its end adds that of the equation which t solves,
    ∂t/∂s_n = −σ'(s_n + t) / Σ_m σ'(s_m + t).
    """
    fixed = scores.detach()
    # Outside of this bracket all weights are below, or above, K/N.
    level = torch.logit(torch.tensor(k / scores.shape[1], dtype=torch.float64).clamp(1e-6, 1 - 1e-6)).to(fixed.dtype)
    low, high = level - fixed.amax(1, keepdim=True), level - fixed.amin(1, keepdim=True)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = (fixed + middle).sigmoid().sum(1, keepdim=True) > k
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    t = (low + high) / 2
    weights = (scores + t).sigmoid()
    slope = (weights * (1 - weights)).detach().sum(1, keepdim=True).clamp_min(1e-6)
    return (scores + t - (weights.sum(1, keepdim=True) - k) / slope).sigmoid()
