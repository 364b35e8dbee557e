"""How unsure a model is of its answer before it has settled any of it: one denoising step, nothing sampled.

    h = mean over the masked positions of the first block of H(p) = −Σ_v p_v log p_v        in nats

The step is the sampler's first one: same prefix, same masks, same attention.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.prompt.context import answer_context
from shirg_lavida.prompt.prefix import PrefixLike
from shirg_lavida.sampling.answer_ids import start_ids
from shirg_lavida.sampling.denoiser import Denoiser
from shirg_lavida.sampling.options import SamplingKeywords, SamplingOptions
from shirg_lavida.sampling.schedule import block_size


@torch.no_grad()
def first_step_entropy(
    backbone: DiffusionBackbone,
    prefix: PrefixLike,
    *,
    mask_id: int,
    answer_length: int,
    **options: Unpack[SamplingKeywords],
) -> Tensor:
    """Mean entropy per row; 0 where the first block has no mask. One prefill and one step.

    Args:
        backbone: the language model.
        prefix: `[B, P, d]`, a `Prefix` or a plain tensor.
        mask_id: the mask.
        answer_length: L.
        options: of `SamplingOptions`; those that decide what the first step sees count.

    Returns:
        `[B]` float32, in nats.

    Raises:
        ValueError: an argument that cannot be followed, a prefix that does not fit the model, or a pruning method,
            which belongs to one prefix.
    """
    how = SamplingOptions(**options)
    if how.pruning is not None:
        raise ValueError("pruning thins out one prefix, and an adaptive budget tries several: give one of them")
    size = block_size(answer_length, how.block_length)
    context = answer_context(prefix, answer_length, backbone.max_sequence_length)
    shape = (prefix.shape[0], answer_length)
    ids = start_ids(shape, how.draft_ids, mask_id=mask_id, vocab_size=backbone.vocab_size, device=prefix.device)
    cached = Denoiser.cached(backbone, context) if how.cache else None
    denoiser = cached or Denoiser.uncached(backbone, context, how.attention)
    if backbone.shifted and how.attention == "prefix":
        ids, _ = denoiser.settle_first(ids, mask_id)
    hidden = denoiser.hidden(ids if how.lookahead else ids[:, :size])
    logits = backbone.logits(hidden[:, :size]).float()
    if not how.allow_mask_prediction:
        logits = logits.masked_fill(torch.arange(logits.shape[-1], device=logits.device) == mask_id, float("-inf"))
    entropy = torch.special.entr(logits.softmax(dim=-1)).sum(dim=-1)
    masked = (ids[:, :size] == mask_id).float()
    mean: Tensor = (entropy * masked).sum(dim=1) / masked.sum(dim=1).clamp(min=1)
    return mean
