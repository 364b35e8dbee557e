"""Cross-modal reranking: the first denoising steps choose K of a larger static selection.

    importance_i = mean over layers, heads and still-masked answer tokens j of attention(j → i)      for kept tokens i

SHIRG keeps `wider` · K tokens of an image, which are prefilled and cached as always. The first `steps` steps read them
all and record what the answer tokens that stay masked pay to each; then the cache is copied once, without all but the K
most important tokens of each image. Text, newlines and the summary stay, at their positions. With `wider = 1` nothing
is dropped.

RedVTP (arXiv 2511.12428) is this without a selection before it, so that the prefill runs over all tokens; `wider` and
`static` then say nothing. The paper prunes an uncached sequence, which renumbers the positions behind a dropped token;
a cache holds rotated keys, so here the kept entries keep their positions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from shirg_core.budget import Budget, check_budget, kept_tokens
from shirg_core.checks import integer, real
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection, Selector
from shirg_lavida.language.cache import PrefixCache
from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.prompt.context import Context
from shirg_lavida.pruning.images import best_tokens, compacted, counts_of, image_entries
from shirg_lavida.pruning.protocol import Rewritten


@dataclass(frozen=True)
class Rerank:
    """See the module.

    Args:
        budget: K of each image, a count or a fraction of its selectable tokens.
        wider: tokens of the static selection, as a multiple of K, ≥ 1; at most all.
        steps: how many steps read all of them and are watched, ≥ 1.
        layers: whose attention counts, from 1, or −1 … from the last; None = all of them.
        static: the method that makes the static selection, with options such as `v4:text_weight=0`.

    Raises:
        ValueError: a value out of range.
    """

    budget: Budget
    wider: float = 2.0
    steps: int = 1
    layers: tuple[int, ...] | None = None
    static: str = "v4"
    every_token = False

    def __post_init__(self) -> None:
        check_budget(self.budget)
        real("wider", self.wider, low=1)
        integer("steps", self.steps, low=1)
        check_layers(self.layers)

    def before(self, selector: Selector) -> Selector:
        """What chooses the static set: `selector`, built with this budget, keeps `wider` times as many."""
        return Wider(selector, self.budget, self.wider)

    def prefill(self, backbone: DiffusionBackbone, context: Context) -> PrefixCache:
        """The whole static selection.

        Raises:
            ValueError: a prefix of fewer tokens than K, or one that does not say where they stand.
        """
        image_entries(context.prefix)
        counts_of(context.prefix, self.budget)
        return backbone.prefill(
            context.embeddings, context.positions, context.mask, answer_length=context.answer_length
        )

    def watched(self, steps: int) -> range:
        """The first ones."""
        return range(min(self.steps, steps))

    def rewrite(
        self,
        backbone: DiffusionBackbone,  # noqa: ARG002 (the protocol's)
        context: Context,
        cache: PrefixCache,
        importance: Tensor,
    ) -> Rewritten:
        """A new cache of K tokens an image. With nothing still masked all count the same and the first ones stay."""
        kept = best_tokens(importance, context.prefix, self.budget)
        return Rewritten(cache.gathered(*compacted(kept, context.mask)), kept)


@dataclass(frozen=True)
class Wider:
    """A selector at a multiple of a budget, at most all selectable tokens.

    Args:
        selector: has a `budget`.
        budget: K.
        factor: ≥ 1.
    """

    selector: Any
    budget: Budget
    factor: float

    def kept(self, layout: ViewLayout) -> int:
        """How many tokens it keeps of a layout.

        Raises:
            BudgetError: a K that the layout cannot serve.
        """
        return min(layout.n_selectable, round(self.factor * kept_tokens(self.budget, layout)))

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Any) -> Selection:
        """See `Selector`."""
        chosen: Selection = replace(self.selector, budget=self.kept(layout))(features, layout, **inputs)
        return chosen


def check_layers(layers: tuple[int, ...] | None) -> None:
    """Refuse what is no tuple of layers; whether a model has them is seen later.

    Raises:
        ValueError: no layer, or 0, which is none.
    """
    if layers is not None and (not layers or not all(integer("layers", layer) for layer in layers)):
        raise ValueError(f"layers must be numbers from 1, or −1 … from the last, got {layers}")
