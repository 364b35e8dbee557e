"""A prefix and where its answer continues: what every way of denoising starts from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shirg_lavida.prompt.prefix import Prefix, PrefixLike


class TooLongError(ValueError):
    """Prefix and answer together do not fit the model's context."""


@dataclass(frozen=True)
class Context:
    """B: batch, P: prefix tokens, L: answer tokens, d: width.

    Attributes:
        embeddings: `[B, P, d]`.
        positions: `[B, P]` int64.
        mask: `[B, P]` bool, False = padding; None = nothing padded.
        answer_positions: `[B, L]` int64, after each row's own last position.
        prefix: what it was made of.
    """

    embeddings: Tensor
    positions: Tensor
    mask: Tensor | None
    answer_positions: Tensor
    prefix: Prefix

    @property
    def answer_length(self) -> int:
        """L."""
        return self.answer_positions.shape[1]


def answer_context(prefix: PrefixLike, answer_length: int, max_sequence_length: int) -> Context:
    """Unpack a `Prefix`, or a plain `[B, P, d]` tensor (positions 0 … P − 1, nothing padded).

    Raises:
        ValueError: not `[B, P, d]`, an empty prefix or answer, or a row that is all padding.
        TooLongError: the answer ends beyond the backbone's context.
    """
    if isinstance(prefix, Tensor):
        prefix = Prefix(prefix)
    if answer_length < 1:
        raise ValueError(f"an answer needs at least one token, got answer_length={answer_length}")
    positions, mask = prefix.positions, prefix.mask
    if mask is not None and not bool(mask.any(dim=1).all()):
        raise ValueError("a row of the prefix is nothing but padding")
    if positions is None:
        positions = torch.arange(prefix.shape[1], device=prefix.device).expand(prefix.shape[:2])
        if mask is not None:
            positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    last = (positions if mask is None else positions.masked_fill(~mask, -1)).amax(dim=1, keepdim=True)
    end = int(last.max()) + 1 + answer_length
    if end > max_sequence_length:
        raise TooLongError(
            f"the prefix ends at position {end - answer_length - 1} and the answer has {answer_length} tokens: "
            f"{end} positions, but the model's context holds {max_sequence_length}"
        )
    offsets = torch.arange(1, answer_length + 1, device=prefix.device)
    return Context(prefix.embeddings, positions, mask, last + offsets, prefix)
