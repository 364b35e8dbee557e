"""Which prefix entries are an image's tokens, and the best of them, image by image, at exact counts.

B: batch, P: prefix entries, I: images.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from shirg_core.budget import Budget, kept_tokens
from shirg_lavida.prompt.prefix import Prefix


def image_entries(prefix: Prefix) -> Tensor:
    """`[B, P]` int64: the image whose token stands there; −1 = text, a newline, a summary or padding.

    Raises:
        ValueError: the prefix does not say where its tokens stand.
    """
    # A plain tensor tells nothing of its images; a prefix without any counts 0 visual tokens.
    if not prefix.placements and (prefix.owners or not prefix.visual_tokens):
        raise ValueError("choosing again needs a prefix that says where its tokens stand, as embed_prompt makes it")
    entries = torch.full(prefix.shape[:2], -1, dtype=torch.int64, device=prefix.device)
    for number, (row, placement) in enumerate(zip(prefix.owners, prefix.placements, strict=True)):
        entries[row, placement.columns] = number
    return entries


def counts_of(prefix: Prefix, budget: Budget) -> list[int]:
    """K of each image.

    Raises:
        ValueError: a budget above what the prefix has of an image.
    """
    counts = [kept_tokens(budget, layout) for layout in prefix.layouts]
    for k, placement in zip(counts, prefix.placements, strict=True):
        if k > len(placement.columns):
            raise ValueError(f"budget K={k} is larger than the {len(placement.columns)} tokens in the prefix")
    return counts


def best_tokens(importance: Tensor, prefix: Prefix, budget: Budget) -> Tensor:
    """`[B, P]` bool: K tokens of each image, the best by `importance [B, P]`, and all that is no image's token.

    Raises:
        ValueError: what `image_entries` and `counts_of` reject.
    """
    return best_entries(importance, image_entries(prefix), counts_of(prefix, budget))


def best_entries(importance: Tensor, entries: Tensor, counts: Sequence[int]) -> Tensor:
    """`[B, P]` bool: the most important entries of each image, as many as it may keep, and all of no image.

    Ties go to the first entry.
    """
    order = importance.float().sort(dim=1, descending=True, stable=True).indices
    images = entries.gather(1, order).sort(dim=1, stable=True)
    order, image = order.gather(1, images.indices), images.values
    rank = torch.arange(image.shape[1], device=image.device) - torch.searchsorted(image, image)
    # The last entry is what −1 finds.
    limit = torch.tensor([*counts, image.shape[1]], device=image.device)[image]
    return torch.zeros_like(image, dtype=torch.bool).scatter(1, order, rank < limit)


def compacted(kept: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """`kept [B, P]` bool as indices `[B, K]`, ascending, of the longest row's K, padding left out.

    `valid [B, P]` bool is False for padding; None = nothing padded. A shorter row is filled on the left by entries that
    it does not keep: those are False in the second tensor, `[B, K]` bool, which is None where no row is shorter.
    Synchronises the device.
    """
    kept = kept if valid is None else kept & valid
    numbers = kept.sum(dim=1)
    longest = int(numbers.max())
    index = kept.byte().sort(dim=1, stable=True).indices[:, kept.shape[1] - longest :]
    if bool((numbers == longest).all()):
        return index, None
    return index, torch.arange(longest, device=kept.device) >= longest - numbers[:, None]
