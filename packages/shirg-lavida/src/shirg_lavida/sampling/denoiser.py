"""Three ways to get the states that predict an answer: cached prefix attention, the same uncached, full attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shirg_lavida.language.cache import PrefixCache
from shirg_lavida.language.masks import full_mask, prefix_mask
from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.prompt.context import Context, answer_context
from shirg_lavida.prompt.prefix import PrefixLike
from shirg_lavida.pruning.protocol import Pruning
from shirg_lavida.sampling.answer_ids import check_ids
from shirg_lavida.sampling.options import check_attention
from shirg_lavida.sampling.remasking import log_probability
from shirg_lavida.sampling.step import Step


@dataclass(frozen=True)
class Denoiser:
    """A backbone and one prefix, ready to denoise answers.

    Attributes:
        backbone: the language model.
        context: the prefix.
        cache: its keys and values; None runs prefix and answer together at every call.
        allowed: the attention mask of uncached calls; None = everybody sees everybody.
    """

    backbone: DiffusionBackbone
    context: Context
    cache: PrefixCache | None = None
    allowed: Tensor | None = None

    @classmethod
    def cached(cls, backbone: DiffusionBackbone, context: Context, pruning: Pruning | None = None) -> Denoiser:
        """Runs the prefix now, thinned out if asked, and keeps its keys and values.

        Raises:
            ValueError: a prefix of another width or dtype than the model's.
        """
        _check_fit(backbone, context)
        if pruning is not None:
            return cls(backbone, context, pruning.prefill(backbone, context))
        cache = backbone.prefill(
            context.embeddings, context.positions, context.mask, answer_length=context.answer_length
        )
        return cls(backbone, context, cache)

    @classmethod
    def uncached(cls, backbone: DiffusionBackbone, context: Context, attention: str) -> Denoiser:
        """Runs prefix and answer together, under either kind of attention.

        Raises:
            ValueError: a prefix of another width or dtype than the model's.
        """
        _check_fit(backbone, context)
        length, mask = context.answer_length, context.mask
        if attention == "full":
            return cls(backbone, context, allowed=full_mask(length, mask))
        positions = context.positions
        return cls(backbone, context, allowed=prefix_mask(positions.shape[1], length, mask, positions.device))

    def hidden(self, ids: Tensor) -> Tensor:
        """`[B, n]` → `[B, n, d]`, what predicts each of the tokens; n < L: the rest of the answer is not there."""
        x, n = self.backbone.embed(ids), ids.shape[1]
        answer_positions = self.context.answer_positions[:, :n]
        if self.cache is not None:
            return self.backbone.predicting(self.backbone.denoise(x, answer_positions, self.cache), self.cache.last)
        x = torch.cat([self.context.embeddings, x], dim=1)
        positions = torch.cat([self.context.positions, answer_positions], dim=1)
        allowed = None if self.allowed is None else self.allowed[..., : x.shape[1], : x.shape[1]]
        states = self.backbone.forward(x, positions, allowed)
        return self.backbone.predicting(states[:, -n:], states[:, -n - 1 : -n])

    def observed(self, ids: Tensor, layers: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """`hidden`, and the attention `[B, n, P]` of the tokens to the cached prefix, mean over heads and `layers`.

        Raises:
            RuntimeError: there is no cache.
        """
        x, cache = self.backbone.embed(ids), self.require_cache()
        states, paid = self.backbone.observe(x, self.context.answer_positions[:, : ids.shape[1]], cache, layers)
        return self.backbone.predicting(states, cache.last), paid

    def settle_first(self, ids: Tensor, mask_id: int) -> tuple[Tensor, Tensor]:
        """`ids [B, L]` with the first token that the prefix alone predicts, if it is masked, and its probability `[B]`.

        That is what a `shifted` model's prefill says about the answer. The first token is never the mask.
        """
        last = None if self.cache is None else self.cache.last
        last = self.hidden(ids)[:, :1] if last is None else last
        logits = self.backbone.logits(last)
        banned = torch.arange(logits.shape[-1], device=logits.device) == mask_id
        likeliest = logits.masked_fill(banned, float("-inf")).argmax(dim=-1)
        first = torch.where(ids[:, :1] == mask_id, likeliest, ids[:, :1])
        probability = log_probability(logits.float(), first).exp()
        return torch.cat([first, ids[:, 1:]], dim=1), probability[:, 0]

    def stepper(self, finish: Callable[[Tensor, Tensor, Tensor], Tensor], seen: int | None = None) -> Step:
        """One whole step: `ids, quota → finish(hidden(ids[:, :seen]), ids, quota)`."""
        return lambda ids, quota: finish(self.hidden(ids[:, :seen]), ids, quota)

    def require_cache(self) -> PrefixCache:
        """The cache.

        Raises:
            RuntimeError: there is none.
        """
        if self.cache is None:
            raise RuntimeError("this needs a cached prefix")
        return self.cache

    def digest(self) -> str | None:
        """`PrefixCache.digest`, None without cache."""
        return None if self.cache is None else self.cache.digest()


def denoise_logits(
    backbone: DiffusionBackbone,
    prefix: PrefixLike,
    answer_ids: Tensor,
    *,
    attention: str = "prefix",
    cache: bool = True,
) -> Tensor:
    """Logits `[B, L, V]` of one step for `answer_ids [B, L]` after `prefix [B, P, d]`. Gradients need `cache=False`.

    Raises:
        ValueError: `attention="full"` with `cache=True`, a batch mismatch, ids outside the vocabulary, a prefix of
            another width or dtype than the model's, or an answer that does not fit the context.
    """
    check_attention(attention, cache=cache)
    if answer_ids.dim() != 2 or answer_ids.shape[0] != prefix.shape[0]:
        raise ValueError(f"answer_ids must be [{prefix.shape[0]}, L], got {list(answer_ids.shape)}")
    answer_ids = check_ids("answer_ids", answer_ids, backbone.vocab_size)
    context = answer_context(prefix, answer_ids.shape[1], backbone.max_sequence_length)
    denoiser = Denoiser.cached(backbone, context) if cache else Denoiser.uncached(backbone, context, attention)
    return backbone.logits(denoiser.hidden(answer_ids))


def _check_fit(backbone: DiffusionBackbone, context: Context) -> None:
    """The prefix must look like what the backbone embeds: a cast here would change answers unseen."""
    prefix = context.embeddings
    own = backbone.embed(torch.zeros(1, 1, dtype=torch.int64, device=prefix.device))
    if prefix.shape[-1] != own.shape[-1] or prefix.dtype != own.dtype:
        raise ValueError(
            f"the model's embeddings are {own.dtype} [B, P, {own.shape[-1]}], "
            f"but the prefix is {prefix.dtype} {list(prefix.shape)}"
        )
