"""FastV on a prefix cache (arXiv 2403.06764): drop visual tokens after layer K of the prefill.

    φ_i = mean over heads and queries j of attention_K(j → i)        for visual tokens i, at layer K, from 1

and of the visual tokens the best fraction `keep` goes on to layers K + 1 …. FastV was made for causal models and
averages over all tokens that may attend to i; here that is the whole prefix, since attention runs both ways. (Its
released code looks at the last token's row alone, which gives the same table on the pages of the ablations.) Kept
tokens keep their rotary positions. Layers up to K cache the whole prefix, later ones only the kept tokens; what is
cached is written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor

from shirg_lavida.language.attention import attention_received
from shirg_lavida.language.cache import PrefixCache
from shirg_lavida.language.protocol import DiffusionBackbone, Thinned
from shirg_lavida.prompt.context import Context
from shirg_lavida.pruning.images import best_entries, compacted, counts_of, image_entries
from shirg_lavida.pruning.protocol import keep_top


@dataclass(frozen=True)
class FastV:
    """See the module.

    Args:
        visual: `[B, P]` bool, the prefix entries that may be dropped, of which ⌊keep · n⌋ survive; None = each image's
            tokens, of which as many survive as a selector with the budget `keep` would keep.
        keep: fraction of them that survives, in (0, 1].
        layer: K, 1 ≤ K < number of layers.
    """

    visual: Tensor | None = None
    keep: float = 0.5
    layer: int = 2
    rewrite: None = None
    layers: None = None
    every_token = False

    def prefill(self, backbone: DiffusionBackbone, context: Context) -> PrefixCache:
        """Run the prefix, dropping tokens after layer K.

        Raises:
            ValueError: K out of range, or what `keep_top` rejects.
        """
        if not 1 <= self.layer < backbone.n_layers:
            raise ValueError(f"layer must be in 1 … {backbone.n_layers - 1}, got {self.layer}")
        return backbone.prefill(
            context.embeddings,
            context.positions,
            context.mask,
            answer_length=context.answer_length,
            thin=partial(self._thin, context),
        )

    def watched(self, steps: int) -> range:  # noqa: ARG002 (the protocol's)
        """None: the prefill decides."""
        return range(0)

    def _thin(self, context: Context, layer: int, q: Tensor, k: Tensor, valid: Tensor | None) -> Thinned | None:
        if layer != self.layer:
            return None
        received = attention_received(q, k, valid)
        if self.visual is not None:
            return keep_top(received, self.visual, self.keep), None
        counts = counts_of(context.prefix, self.keep)
        return compacted(best_entries(received, image_entries(context.prefix), counts), valid)
