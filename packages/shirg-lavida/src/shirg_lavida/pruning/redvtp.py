"""RedVTP on a prefix cache (arXiv 2511.12428): drop visual tokens after the first denoising step.

    importance_i = mean over layers, heads and still-masked answer tokens j of attention(j → i)   for visual i

measured in the first step; "still masked" are the answer tokens that this step did not settle. The best fraction
`keep` survives. The paper prunes the uncached sequence, which renumbers the positions behind a dropped token; a cache
holds rotated keys, so here the kept entries keep their positions. The first step reads the whole cache; then every
layer's is copied without the dropped tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from shirg_lavida.language.cache import PrefixCache
from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.prompt.context import Context
from shirg_lavida.pruning.protocol import keep_top


@dataclass(frozen=True)
class RedVTP:
    """See the module.

    Args:
        visual: `[B, P]` bool, the prefix entries that may be dropped.
        keep: fraction of them that survives, in (0, 1].
    """

    visual: Tensor
    keep: float = 0.5

    def prefill(self, backbone: DiffusionBackbone, context: Context) -> PrefixCache:
        """The whole prefix."""
        return backbone.prefill(
            context.embeddings, context.positions, context.mask, answer_length=context.answer_length
        )

    def rewrite(self, cache: PrefixCache, attention: Tensor, still_masked: Tensor) -> PrefixCache:
        """A new cache of the kept entries. With nothing still masked, all count the same and the first ones stay."""
        weight = still_masked.float()[..., None]
        importance = (attention * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return cache.gathered(keep_top(importance, self.visual, self.keep))
