"""Two stages: a static prefix in the cache; late in decoding a refinement of what is read of it.

After ⌊at · steps⌋ steps, by the attention that the step before paid (see `Rewrite`), each image is left with
n = round(read · K) tokens that later steps read:

    n − R of its K static ones, the most important;
    R = min(swap, n, N − K) of its N − K dropped ones, those nearest to what is important:

        score_j = Σ_k importance_k · exp(−d(j, k)² / 2)     over kept tokens k of j's view, d in tokens

with ties by the selector's own score. What this does to the cache: the static entries are never written again, moved or
copied. Those that are not read any more are masked, so their memory stays and a step's attention still passes over
them. The R fine tokens run through the language model once, attending to the static prefix and to each other, and their
keys and values are written behind the static ones, into room that the prefill left for them: one more forward pass over
R tokens. With `swap = 0` and `read = 1` nothing happens, and no step is watched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from shirg_core.checks import count_or_share, real
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection, Selector
from shirg_lavida.language.cache import PrefixCache
from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.prompt.context import Context
from shirg_lavida.prompt.prefix import Prefix
from shirg_lavida.pruning.images import best_entries, image_entries
from shirg_lavida.pruning.protocol import Rewritten
from shirg_lavida.pruning.rerank import check_layers


@dataclass(frozen=True)
class TwoStage:
    """See the module.

    Args:
        swap: fine tokens that come in for an image, at most: a count, or a fraction of its K; 0 = none.
        at: fraction of the planned steps after which the refinement comes, in (0, 1); one step is before it, and one
            after it, or there is none.
        read: fraction of K that is read after it, in (0, 1].
        layers: whose attention counts, from 1, or −1 … from the last; None = all of them.
        static: the method that chooses the static part, with options such as `v4:text_weight=0`.

    Raises:
        ValueError: a value out of range.
    """

    swap: int | float = 0.5
    at: float = 0.25
    read: float = 1.0
    layers: tuple[int, ...] | None = None
    static: str = "v4"

    def __post_init__(self) -> None:
        if self.swap != 0 or isinstance(self.swap, bool):
            count_or_share("swap", self.swap)
        if real("at", self.at, above=0, high=1) == 1:
            raise ValueError("at must be below 1, or no step follows the refinement, got 1")
        real("read", self.read, above=0, high=1)
        check_layers(self.layers)

    @property
    def every_token(self) -> bool:
        """Dropped tokens are needed where some come in."""
        return self.swap != 0

    def before(self, selector: Selector) -> Selector:
        """What chooses the static part."""
        return selector

    def prefill(self, backbone: DiffusionBackbone, context: Context) -> PrefixCache:
        """The static part, with room for R further entries.

        Raises:
            ValueError: a prefix that does not say where its tokens stand, or has no dropped tokens to swap in.
        """
        prefix = context.prefix
        image_entries(prefix)
        if self.every_token and any(placement.tokens is None for placement in prefix.placements):
            raise ValueError(f"swap={self.swap} needs a prefix made with every_token=True")
        swapped = [0] * len(prefix.embeddings)
        for row, part in zip(prefix.owners, self._parts(prefix), strict=True):
            swapped[row] += part.swapped
        room = context.answer_length + max(swapped)
        return backbone.prefill(context.embeddings, context.positions, context.mask, answer_length=room)

    def watched(self, steps: int) -> range:
        """The step before the refinement."""
        if steps < 2 or (self.swap == 0 and self.read == 1):
            return range(0)
        first = min(max(1, int(self.at * steps)), steps - 1)
        return range(first - 1, first)

    def rewrite(
        self,
        backbone: DiffusionBackbone,
        context: Context,
        cache: PrefixCache,
        importance: Tensor,
    ) -> Rewritten:
        """The same buffers, with R further entries an image, read in part."""
        prefix, parts = context.prefix, self._parts(context.prefix)
        kept = best_entries(importance, image_entries(prefix), [part.static for part in parts])
        swapped = [
            fine_tokens(importance[row, placement.columns], selection, layout, part.swapped)
            if selection is not None and part.swapped
            else torch.empty(0, dtype=torch.int64, device=kept.device)
            for row, placement, selection, layout, part in zip(
                prefix.owners, prefix.placements, prefix.selections, prefix.layouts, parts, strict=True
            )
        ]
        read = kept
        if any(part.swapped for part in parts):
            x, positions, valid = _rows_of(prefix, swapped)
            cache = backbone.extend(x, positions, cache, None if bool(valid.all()) else valid)
            read = torch.cat([kept, valid], dim=1)
        return Rewritten(cache.reading(read), kept, swapped)

    def _parts(self, prefix: Prefix) -> list[_Part]:
        parts = []
        for placement, selection, layout in zip(prefix.placements, prefix.selections, prefix.layouts, strict=True):
            k = len(placement.columns)
            read = max(1, round(self.read * k))
            swap = self.swap if isinstance(self.swap, int) else round(self.swap * k)
            dropped = 0 if selection is None else layout.n_selectable - k
            swapped = min(swap, read, dropped)
            parts.append(_Part(read - swapped, swapped))
        return parts


class _Part(NamedTuple):
    """Tokens of one image that are read after the refinement."""

    static: int
    swapped: int


def fine_tokens(importance: Tensor, selection: Selection, layout: ViewLayout, count: int) -> Tensor:
    """`[count]` int64, ascending: the dropped tokens of one image that are nearest to important kept ones.

    Args:
        importance: `[K]`, of the kept tokens.
        selection: of the image, a batch of one.
        layout: its geometry.
        count: how many, at most as many as were dropped.
    """
    device = importance.device
    kept = selection.indices[0].to(device)
    dropped = layout.valid_mask(device) & ~selection.mask[0].to(device)
    candidates = dropped.nonzero().squeeze(1)
    view = layout.view_ids(device)
    at = torch.cat([torch.cartesian_prod(torch.arange(v.h), torch.arange(v.w)) for v in layout.views]).to(device)
    distance = (at[candidates, None] - at[None, kept]).pow(2).sum(dim=-1)
    near = torch.exp(-0.5 * distance.float()) * (view[candidates, None] == view[None, kept])
    first = selection.scores[0].to(device)[candidates].sort(descending=True, stable=True).indices
    nearest = (near @ importance.float())[first].sort(descending=True, stable=True).indices[:count]
    return candidates[first[nearest]].sort().values


def _rows_of(prefix: Prefix, swapped: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings `[B, R, d]` and positions `[B, R]` of each row's swapped tokens, and which are no filling."""
    embeddings = [prefix.embeddings[row, :0] for row in range(len(prefix.embeddings))]
    positions = [torch.empty(0, dtype=torch.int64, device=prefix.device) for _ in embeddings]
    for row, placement, tokens in zip(prefix.owners, prefix.placements, swapped, strict=True):
        if len(tokens):
            assert placement.tokens is not None, "prefill has checked it"
            assert placement.positions is not None, "they come together"
            embeddings[row] = torch.cat([embeddings[row], placement.tokens[tokens].to(prefix.dtype)])
            positions[row] = torch.cat([positions[row], placement.positions[tokens]])
    lengths = torch.tensor([len(each) for each in positions], device=prefix.device)
    valid = torch.arange(int(lengths.max()), device=prefix.device) < lengths[:, None]
    return pad_sequence(embeddings, batch_first=True), pad_sequence(positions, batch_first=True), valid
