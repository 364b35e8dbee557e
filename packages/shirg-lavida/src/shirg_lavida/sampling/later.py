"""What a `Pruning` watches while an answer is decoded, and what its choice means for the answer's record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from shirg_core.selection import Selection
from shirg_lavida.prompt.prefix import Prefix
from shirg_lavida.pruning.protocol import Pruning, Rewrite, Rewritten, layer_numbers
from shirg_lavida.sampling.denoiser import Denoiser


@dataclass(frozen=True, eq=False)
class Watch:
    """Attention of a few steps, and the rewrite that follows the last.

    Attributes:
        rewrite: see `Pruning`.
        steps: their numbers, at least one.
        layers: watched ones, from 1.
        seen: of each step so far, attention `[B, L, P]` and which of the L tokens it left masked.
    """

    rewrite: Rewrite
    steps: range
    layers: Sequence[int]
    seen: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def rewritten(self, denoiser: Denoiser) -> Rewritten:
        """The cache of all further steps."""
        attention, still_masked = (torch.cat(each, dim=1) for each in zip(*self.seen, strict=True))
        importance = importance_of(attention, still_masked)
        return self.rewrite(denoiser.backbone, denoiser.context, denoiser.require_cache(), importance)


def importance_of(attention: Tensor, still_masked: Tensor) -> Tensor:
    """`[B, P]`: mean attention `[B, L, P]` of the tokens that are still masked `[B, L]`; 0 where none is."""
    weight = still_masked.float()[..., None]
    return (attention * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def watch(pruning: Pruning, n_layers: int, steps: int) -> Watch | None:
    """What a method watches of so many planned steps of a model; None = nothing.

    Raises:
        ValueError: a layer that the model does not have.
    """
    layers, watched = layer_numbers(pruning.layers, n_layers), pruning.watched(steps)
    return Watch(pruning.rewrite, watched, layers) if pruning.rewrite is not None and watched else None


def final_selections(prefix: Prefix, rewritten: Rewritten) -> tuple[Selection | None, ...]:
    """Per image, what the last step reads of it (a batch of one); None where nothing was selected."""
    final: list[Selection | None] = []
    for i, (selection, row) in enumerate(zip(prefix.selections, prefix.owners, strict=True)):
        if selection is None or not prefix.placements:
            final.append(selection)
            continue
        placement = prefix.placements[i]
        stays = rewritten.kept[row, placement.columns]
        indices = selection.indices[0].to(stays.device)[stays]
        kept = prefix.embeddings[row, placement.columns[stays]]
        if rewritten.swapped and placement.tokens is not None:
            came = rewritten.swapped[i]
            indices, kept = torch.cat([indices, came]), torch.cat([kept, placement.tokens[came].to(kept.dtype)])
        order = indices.argsort()
        final.append(replace(selection, indices=indices[order][None], kept=kept[order][None]))
    return tuple(final)


def extra_tokens(prefix: Prefix, rewritten: Rewritten | None) -> list[int]:
    """Per row, tokens that went through the language model after the prefill."""
    extra = [0] * len(prefix.embeddings)
    if rewritten is not None and rewritten.swapped:
        for row, came in zip(prefix.owners, rewritten.swapped, strict=True):
            extra[row] += len(came)
    return extra
