"""One denoising step after the backbone: hidden states in, settled tokens out.

Shapes are static and nothing synchronises the device (`compact=False`), so a whole step can be compiled or captured.

B: batch, L: answer tokens, W: tokens of the window that may be settled, d: width, V: vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.sampling.options import SamplingOptions
from shirg_lavida.sampling.remasking import confidence, draw_categorical, filtered, log_probability, predict

Step: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""`(ids [B, L], quota [B]) → ids [B, L]`: one denoising step."""


def settle(
    backbone: DiffusionBackbone,
    hidden: Tensor,
    ids: Tensor,
    quota: Tensor,
    window: tuple[int, int],
    options: SamplingOptions,
    *,
    mask_id: int,
    eos_id: int = -1,
    compact: bool,
    unseen: int = 0,
    probabilities: Tensor | None = None,
) -> Tensor:
    """Settle, per row, the `quota` masked tokens of the window the model is surest of.

    Args:
        backbone: for its `logits`.
        hidden: `[B, n, d]`, of the first n ≥ stop tokens.
        ids: `[B, L]` int64.
        quota: `[B]` int64.
        window: `(start, stop)`; only masked tokens inside are eligible.
        options: how to choose.
        mask_id: the mask.
        eos_id: end of text, read only with `eos_penalty`.
        compact: compute logits of eligible tokens only (synchronises the device) instead of the whole window's.
        unseen: prefix tokens for which upstream draws random confidences too: drawn and dropped, to match it.
        probabilities: `[B, L]` float32, written in place: the probability of each token that this step settles.

    Returns:
        New `[B, L]` int64.
    """
    start, stop = window
    inside = ids[:, start:stop]
    eligible = inside == mask_id
    rows = eligible if compact else torch.ones_like(eligible)
    # 1. Logits where they are needed.
    logits = backbone.logits(hidden[:, start:stop][rows] if compact else hidden[:, start:stop])
    if not options.allow_mask_prediction:
        banned = torch.arange(logits.shape[-1], device=logits.device) == mask_id
        logits = logits.masked_fill(banned, float("-inf"))
    # 2. A token for every position. LLaDA draws noise for the whole answer; so do we, or the draws would not match.
    plain, uniform = logits, None
    if options.draw == "categorical":
        logits = filtered(logits, options.temperature, options.top_p, options.top_k)
    if options.temperature > 0 and options.draw == "categorical":
        chosen = draw_categorical(logits, options.generator)
    else:
        if options.temperature > 0:
            shape = (*ids.shape, logits.shape[-1])
            uniform = torch.rand(shape, generator=options.generator, device=ids.device, dtype=torch.float64)
            uniform = uniform[:, start:stop][rows] if compact else uniform[:, start:stop]
        chosen = predict(logits, options.temperature, uniform)
    # 3. How sure the model is of it.
    if options.remasking == "random":
        shape = (ids.shape[0], unseen + ids.shape[1])
        sure = torch.rand(shape, generator=options.generator, device=ids.device, dtype=torch.float32)
        sure = sure[:, unseen + start : unseen + stop]
    else:
        sure = confidence(logits, chosen, options.remasking)
        sure = _spread(sure, rows) if compact else sure
    log_p = None
    if probabilities is not None:
        same = options.remasking == "low_confidence" and options.draw == "gumbel"
        log_p = sure if same else log_probability(plain.float(), chosen)
        log_p = _spread(log_p, rows) if compact and not same else log_p
    chosen = inside.masked_scatter(rows, chosen) if compact else chosen
    if options.eos_penalty > 0:
        sure = torch.where(chosen == eos_id, sure - options.eos_penalty, sure)
    # 4. The surest become final.
    take = surest(sure, eligible, quota)
    if options.confidence_threshold is not None:
        take = take | (eligible & (sure >= math.log(options.confidence_threshold)))
    if probabilities is not None and log_p is not None:
        before = probabilities[:, start:stop]
        before.copy_(torch.where(take, log_p.exp(), before))
    settled = torch.where(take, chosen, inside)
    return torch.cat([ids[:, :start], settled, ids[:, stop:]], dim=1)


def _spread(values: Tensor, rows: Tensor) -> Tensor:
    """`values [R]` of the R true entries of `rows [B, W]`, at their places; 0 elsewhere."""
    return torch.zeros(rows.shape, dtype=values.dtype, device=rows.device).masked_scatter(rows, values)


def surest(sure: Tensor, eligible: Tensor, quota: Tensor) -> Tensor:
    """`[B, W]` bool: the `quota [B]` eligible entries of each row with the largest `sure [B, W]`; ties: the first."""
    # Clamped so that an eligible −∞ still ranks before what is not eligible.
    keyed = sure.clamp(min=torch.finfo(sure.dtype).min).masked_fill(~eligible, float("-inf"))
    order = keyed.sort(dim=1, descending=True, stable=True).indices
    rank = torch.arange(order.shape[1], device=order.device).expand_as(order)
    return eligible & (torch.zeros_like(order).scatter(1, order, rank) < quota[:, None])
