"""RedVTP on a prefix cache (arXiv 2511.12428): drop visual tokens after the first denoising step.

    importance_i = mean over layers, heads and still-masked answer tokens j of attention(j → i)   for visual i

measured in the first step; "still masked" are the answer tokens that this step did not settle. The best fraction
`keep` survives. The paper prunes the uncached sequence, which renumbers the positions behind a dropped token; a cache
holds rotated keys, so here the kept entries keep their positions. The first step reads the whole cache; then every
layer's is copied without the dropped tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shirg_lavida.language.cache import PrefixCache
from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.prompt.context import Context
from shirg_lavida.pruning.protocol import Rewritten, importance_of, keep_top
from shirg_lavida.pruning.rerank import Rerank


@dataclass(frozen=True)
class RedVTP:
    """See the module.

    Args:
        visual: `[B, P]` bool, the prefix entries that may be dropped, of which ⌊keep · n⌋ survive; None = each image's
            tokens, of which as many survive as a selector with the budget `keep` would keep.
        keep: fraction of them that survives, in (0, 1].
    """

    visual: Tensor | None = None
    keep: float = 0.5
    layers: None = None
    every_token = False

    def prefill(self, backbone: DiffusionBackbone, context: Context) -> PrefixCache:
        """The whole prefix."""
        return backbone.prefill(
            context.embeddings, context.positions, context.mask, answer_length=context.answer_length
        )

    def watched(self, steps: int) -> range:
        """The first one."""
        return range(min(1, steps))

    def rewrite(
        self,
        backbone: DiffusionBackbone,
        context: Context,
        cache: PrefixCache,
        attention: Tensor,
        still_masked: Tensor,
    ) -> Rewritten:
        """A new cache of the kept entries. With nothing still masked, all count the same and the first ones stay."""
        if self.visual is None:
            return Rerank(self.keep).rewrite(backbone, context, cache, attention, still_masked)
        index = keep_top(importance_of(attention, still_masked), self.visual, self.keep)
        kept = torch.zeros_like(self.visual).scatter(1, index, value=True)
        return Rewritten(cache.gathered(index), kept)
