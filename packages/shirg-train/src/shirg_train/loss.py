"""Masked-diffusion NLL as LaViDa trains (arXiv 2505.16839, §3.2; arXiv 2502.09992, eq. 3).

    t ~ U(0, 1),   p = (1 − ε) t + ε,   M = masked answer tokens,   C = the answer's other tokens, its complement
    L = Σ_rows [ Σ_{i∈M} w_i · CE_i(x with M hidden) + Σ_{i∈C} w̄_i · CE_i(x with C hidden) ] / normaliser

    weighting   w         w̄               normaliser, without and with the complement
    none        1         1               |M|                 |M| + |C|          (the released code)
    inverse_t   1/p       1/(1 − p)       |M| + |C|           2 (|M| + |C|)      (a bound of NLL per token)

One token is always masked, whatever p. Where p · (tokens of the answer) is small, 1/p is not that token's probability:
under `inverse_t` answers of a few tokens weigh more than the bound says, 2.2 times as much at 4 tokens, 1.04 times at
64. `validation.py` forces none.

The complement is a second sample that shares the prefix, so every answer token is predicted exactly once. Under
prefix attention both samples share one row [prefix, answer, complement]; under full attention the prefix sees the
answer, so each sample needs a row of its own.

B: batch, P: prefix tokens, L: answer tokens (padding included: it is a target), d: width, V: vocabulary.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from shirg_core.checks import check_choice
from shirg_lavida.language.backbone import Backbone
from shirg_lavida.language.masks import full_mask
from shirg_lavida.prompt.context import Context, answer_context
from shirg_lavida.prompt.prefix import PrefixLike
from shirg_lavida.sampling.options import check_attention
from shirg_train.backbone_pass import Everything, SharedPrefix, run_backbone
from shirg_train.cross_entropy import linear_cross_entropy
from shirg_train.noise import Noise

Weighting: TypeAlias = Literal["none", "inverse_t"]


class Nll(NamedTuple):
    """A loss as a sum and what to divide it by, so that ranks and micro-batches average over tokens, not over means.

    Attributes:
        total: scalar float32, Σ w · CE, differentiable.
        normaliser: scalar float32, see the module.
    """

    total: Tensor
    normaliser: Tensor

    @property
    def mean(self) -> Tensor:
        """The loss of this batch alone."""
        return self.total / self.normaliser


def diffusion_nll(
    backbone: Backbone,
    prefix: PrefixLike,
    answer_ids: Tensor,
    noise: Noise,
    *,
    mask_id: int,
    complement: bool = True,
    weighting: Weighting = "none",
    attention: str = "prefix",
    recompute: bool = False,
) -> Nll:
    """The loss above.

    Args:
        backbone: the language model.
        prefix: `[B, P, d]`, a `Prefix` or plain embeddings; gradients flow into it.
        answer_ids: `[B, L]` int64, right-padded with end-of-text.
        noise: which answer tokens are hidden; `noise.answer` says which ones are targets at all.
        mask_id: the mask token.
        complement: also predict what `noise` leaves visible.
        weighting: see above.
        attention: `prefix`, or `full`.
        recompute: keep only each block's input for the backward pass.

    Raises:
        ValueError: shapes that do not fit, an unknown weighting or attention, or a sequence beyond the context.
    """
    check_attention(attention, cache=False)
    if answer_ids.shape != noise.answer.shape:
        raise ValueError(f"answer_ids {list(answer_ids.shape)} do not fit the noise {list(noise.answer.shape)}")
    # 1. Hide the masked tokens; the complement hides the others.
    masked, p = noise.masked, noise.probability[:, None]
    samples = [answer_ids.masked_fill(masked, mask_id)]
    if complement:
        samples.append(answer_ids.masked_fill(noise.complement, mask_id))
    # 2. One forward over prefix and samples.
    context = answer_context(prefix, answer_ids.shape[1], backbone.max_sequence_length)
    hidden = _hidden(backbone, context, [backbone.embed(ids) for ids in samples], attention, recompute=recompute)
    # 3. The state that predicts every target, from the sample that hides it: L a row, not 2 L.
    state = torch.where(masked[..., None], hidden[0], hidden[-1])
    # 4. Cross-entropy, weighted and summed.
    weights = target_weights(noise, p, complement, weighting)
    total = linear_cross_entropy(state.flatten(0, 1), backbone.head, answer_ids.flatten(), weights.flatten())
    return Nll(total, normaliser(noise, complement=complement, weighting=weighting))


def target_weights(noise: Noise, p: Tensor, complement: bool, weighting: Weighting) -> Tensor:
    """`[B, L]` float32, w on masked targets, w̄ on the complement's, 0 elsewhere."""
    masked, other = noise.masked.float(), noise.complement.float() * complement
    if weighting == "none":
        return masked + other
    # p = 1 leaves no complement, and 0 · (1/0) is not 0.
    return masked / p + other / (1 - p).clamp_min(torch.finfo(torch.float32).tiny)


def normaliser(noise: Noise, *, complement: bool = True, weighting: Weighting = "none") -> Tensor:
    """What the weighted sum is divided by; known before the forward pass.

    Raises:
        ValueError: an unknown weighting.
    """
    check_choice("weighting", weighting, get_args(Weighting))
    if weighting == "inverse_t":
        return noise.answer.sum().float() * (2 if complement else 1)
    return (noise.answer if complement else noise.masked).sum().float()


def _hidden(
    backbone: Backbone, context: Context, samples: list[Tensor], attention: str, *, recompute: bool
) -> list[Tensor]:
    """The states that predict every sample, `[B, L, d]` each, of its embeddings `[B, L, d]`."""
    n, length = len(samples), context.answer_length
    prefix, valid = context.embeddings.to(samples[0].dtype), context.mask
    last = int(backbone.shifted)  # the prefix's last token predicts the answer's first
    if attention == "full":
        x = torch.cat([torch.cat([prefix, sample], dim=1) for sample in samples])
        positions = torch.cat([context.positions, context.answer_positions], dim=1).repeat(n, 1)
        everything = Everything(full_mask(length, None if valid is None else valid.repeat(n, 1)))
        out = run_backbone(backbone, x, positions, everything, read=length + last, recompute=recompute)
        return list(backbone.predicting(out[:, last:], out[:, :1]).chunk(n))
    x = torch.cat([prefix, *samples], dim=1)
    positions = torch.cat([context.positions, *[context.answer_positions] * n], dim=1)
    shared = SharedPrefix.of(prefix.shape[1], n, length, valid, x.device)
    out = run_backbone(backbone, x, positions, shared, read=n * length + last, recompute=recompute)
    return [backbone.predicting(sample, out[:, :1]) for sample in out[:, last:].chunk(n, dim=1)]
