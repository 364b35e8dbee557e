"""FastV on a prefix cache (arXiv 2403.06764): drop visual tokens after layer K of the prefill.

    φ_i = mean over heads and queries j of attention_K(j → i)        for visual tokens i, at layer K, from 1

and the best of each image's tokens go on to layers K + 1 …. FastV was made for causal models and
averages over all tokens that may attend to i; here that is the whole prefix, since attention runs both ways. (Its
released code looks at the last token's row alone, which gives the same table on the pages of the ablations.) Kept
tokens keep their rotary positions. Layers up to K cache the whole prefix, later ones only the kept tokens; what is
cached is written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from shirg_core.budget import Budget
from shirg_lavida.language.attention import attention_received
from shirg_lavida.language.cache import PrefixCache
from shirg_lavida.language.protocol import DiffusionBackbone, Thinned
from shirg_lavida.prompt.context import Context
from shirg_lavida.pruning.images import best_tokens, compacted


@dataclass(frozen=True)
class FastV:
    """See the module.

    Args:
        budget: tokens of each image that survive, a count or a fraction of its selectable ones.
        layer: K, 1 ≤ K < number of layers.
    """

    budget: Budget
    layer: int = 2
    rewrite: ClassVar[None] = None
    layers: ClassVar[None] = None
    every_token: ClassVar[bool] = False

    def prefill(self, backbone: DiffusionBackbone, context: Context) -> PrefixCache:
        """Run the prefix, dropping tokens after layer K.

        Raises:
            ValueError: K out of range, a prefix of fewer tokens than the budget, or one that does not say where they
                stand.
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
        return compacted(best_tokens(attention_received(q, k, valid), context.prefix, self.budget), valid)
