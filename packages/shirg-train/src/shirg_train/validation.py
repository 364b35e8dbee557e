"""Validation NLL: an upper bound of −log p(answer | prefix) in nats per token (arXiv 2502.09992, eq. 4).

    NLL = 1/(T · Σ_b L_b) · Σ_b Σ_t 1/p_t · Σ_{i masked at p_t} CE_i,     t_k = (k + ½)/T,   p = (1 − ε) t + ε

The T diffusion times are fixed and every mask comes from the given draws, so two models see the same ones.
Unlike in training, a draw may mask nothing: forcing one token would count it with a weight that its probability does
not have.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from shirg_lavida.language.backbone import Backbone
from shirg_lavida.prompt.context import answer_context
from shirg_lavida.prompt.prefix import PrefixLike
from shirg_lavida.sampling.denoiser import Denoiser
from shirg_lavida.sampling.options import check_attention
from shirg_train.cross_entropy import linear_cross_entropy
from shirg_train.loss import Nll, normaliser, target_weights
from shirg_train.noise import Noise, mask_probability


def fixed_times(count: int) -> list[float]:
    """T diffusion times in the middles of T equal parts of (0, 1)."""
    return [(k + 0.5) / count for k in range(count)]


@torch.no_grad()
def validation_nll(
    backbone: Backbone,
    prefix: PrefixLike,
    answer_ids: Tensor,
    answer: Tensor,
    *,
    mask_id: int,
    draws: Tensor,
    attention: str = "prefix",
) -> Nll:
    """The bound above as a sum and its normaliser.

    Args:
        backbone: the language model.
        prefix: `[B, P, d]`.
        answer_ids: `[B, L]` int64.
        answer: `[B, L]` bool, the tokens to score.
        mask_id: the mask token.
        draws: `[T, B, L]`, uniform on [0, 1).
        attention: `prefix`, or `full`.
    """
    context = answer_context(prefix, answer_ids.shape[1], backbone.max_sequence_length)
    context = replace(context, embeddings=context.embeddings.to(backbone.head.dtype))
    check_attention(attention, cache=False)
    # Under prefix attention all draws share the prefix, so it runs once.
    shared = attention == "prefix"
    denoiser = Denoiser.cached(backbone, context) if shared else Denoiser.uncached(backbone, context, attention)
    total, count = (torch.zeros((), dtype=torch.float32, device=answer.device) for _ in range(2))
    for t, uniform in zip(fixed_times(len(draws)), draws.to(answer.device), strict=True):
        p = mask_probability(torch.full((len(answer),), t, dtype=torch.float32, device=answer.device))
        noise = Noise(answer & (uniform < p[:, None]), p, answer)
        state = denoiser.hidden(answer_ids.masked_fill(noise.masked, mask_id))
        weights = target_weights(noise, p[:, None], complement=False, weighting="inverse_t")
        total += linear_cross_entropy(state.flatten(0, 1), backbone.head, answer_ids.flatten(), weights.flatten())
        count += normaliser(noise, complement=False, weighting="inverse_t")
    return Nll(total, count)
