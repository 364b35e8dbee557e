"""Three ways to get the states that predict an answer: cached prefix attention, the same uncached, full attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from shirg_lavida.language.cache import PrefixCache
from shirg_lavida.language.masks import full_mask, prefix_mask
from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.prompt.context import Context
from shirg_lavida.pruning.protocol import Pruning
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

    def observed(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """`hidden`, and the attention `[B, n, P]` of the tokens to the cached prefix, mean over heads and layers.

        Raises:
            RuntimeError: there is no cache.
        """
        x, cache = self.backbone.embed(ids), self.require_cache()
        states, paid = self.backbone.observe(x, self.context.answer_positions[:, : ids.shape[1]], cache)
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


def check_ids(name: str, ids: Tensor, vocab_size: int) -> Tensor:
    """`ids` as int64, all of which can be embedded. Synchronises the device: once per call, never per step.

    Raises:
        ValueError: not integers, or an id outside the vocabulary.
    """
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise ValueError(f"{name} must be integers, got {ids.dtype}")
    ids = ids.to(torch.int64)
    wrong = ids[(ids < 0) | (ids >= vocab_size)]
    if len(wrong):
        raise ValueError(f"{name} must be in [0, {vocab_size}), got {int(wrong[0])}")
    return ids


def start_ids(
    shape: tuple[int, int], draft_ids: Tensor | None, *, mask_id: int, vocab_size: int, device: torch.device
) -> Tensor:
    """`shape = [B, L]` int64 of masks, begun with `draft_ids` `[B or 1, ≤ L]` if given.

    Raises:
        ValueError: a draft that is no tensor, of another batch size or dtype, longer than the answer, or with ids
            outside the vocabulary.
    """
    batch, answer_length = shape
    ids = torch.full((batch, answer_length), mask_id, dtype=torch.int64, device=device)
    if draft_ids is None:
        return ids
    if not isinstance(draft_ids, Tensor):
        raise ValueError(f"draft_ids must be a tensor, got a {type(draft_ids).__name__}")
    if draft_ids.dim() != 2 or draft_ids.dtype != torch.int64 or draft_ids.shape[0] not in {1, batch}:
        raise ValueError(
            f"draft_ids must be int64 [{batch} or 1, ≤ {answer_length}], got {draft_ids.dtype} {list(draft_ids.shape)}"
        )
    if draft_ids.shape[1] > answer_length:
        raise ValueError(f"a draft of {draft_ids.shape[1]} tokens is longer than answer_length={answer_length}")
    check_ids("draft_ids", draft_ids, vocab_size)
    ids[:, : draft_ids.shape[1]] = draft_ids.to(device)
    return ids


def _check_fit(backbone: DiffusionBackbone, context: Context) -> None:
    """The prefix must look like what the backbone embeds: a cast here would change answers unseen."""
    prefix = context.embeddings
    own = backbone.embed(torch.zeros(1, 1, dtype=torch.int64, device=prefix.device))
    if prefix.shape[-1] != own.shape[-1] or prefix.dtype != own.dtype:
        raise ValueError(
            f"the model's embeddings are {own.dtype} [B, P, {own.shape[-1]}], "
            f"but the prefix is {prefix.dtype} {list(prefix.shape)}"
        )
