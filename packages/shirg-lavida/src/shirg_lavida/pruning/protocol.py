"""How a method may thin out the prefix inside the language model, as opposed to choosing tokens before it.

SHIRG needs none of this: it chooses before the prefix exists, and the cache is never touched.

B: batch, P: prefix entries, L: answer tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from torch import Tensor

from shirg_lavida.language.cache import PrefixCache
from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.prompt.context import Context


class Rewritten(NamedTuple):
    """What is read from now on.

    Attributes:
        cache: for all further steps.
        kept: `[B, P]` bool, the entries of the prefix that are still read.
        swapped: per image, `[R]` int64, dropped tokens that came in; empty = none came.
    """

    cache: PrefixCache
    kept: Tensor
    swapped: Sequence[Tensor] = ()


Rewrite: TypeAlias = Callable[[DiffusionBackbone, Context, PrefixCache, Tensor], Rewritten]
"""`rewrite(backbone, context, cache, importance [B, P])`. Importance is what the answer tokens of the watched steps
paid to each prefix entry, mean over heads, layers and those tokens that their step left masked; 0 where none is."""


class Pruning(Protocol):
    """Builds the prefix cache, and may replace it once, after a denoising step.

    Attributes:
        layers: whose attention is watched, from 1, or −1 … from the last; None = all of them.
        every_token: whether the prefix must come with its images' dropped tokens, see `VisionOptions`.
        rewrite: makes the cache that all steps after the watched ones read; None = there is only one cache. Watched
            steps also record their attention, which costs time and memory.
    """

    @property
    def layers(self) -> Sequence[int] | None: ...  # noqa: D102
    @property
    def every_token(self) -> bool: ...  # noqa: D102

    def prefill(self, backbone: DiffusionBackbone, context: Context) -> PrefixCache:
        """Run the prefix."""
        ...

    def watched(self, steps: int) -> range:
        """Steps, of so many that are planned, whose attention counts for `rewrite`, which follows; empty = none."""
        ...

    @property
    def rewrite(self) -> Rewrite | None: ...  # noqa: D102


def layer_numbers(layers: Sequence[int] | None, n_layers: int) -> tuple[int, ...]:
    """`layers` of a `Pruning`, each once, from 1 to `n_layers`.

    Raises:
        ValueError: a layer that the model does not have.
    """
    if layers is None:
        return tuple(range(1, n_layers + 1))
    if wrong := [layer for layer in layers if not 1 <= abs(layer) <= n_layers]:
        raise ValueError(f"layers must be in 1 … {n_layers}, or −1 … −{n_layers} from the last, got {wrong[0]}")
    return tuple(sorted({layer if layer > 0 else n_layers + 1 + layer for layer in layers}))
