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


Rewrite: TypeAlias = Callable[[DiffusionBackbone, Context, PrefixCache, Tensor, Tensor], Rewritten]
"""`rewrite(backbone, context, cache, attention [B, L, P], still_masked [B, L])`. The last two: what the answer tokens
of the watched steps paid to each prefix entry, mean over heads and layers; which of them their step left masked. The L
tokens of several steps stand one after another."""


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
        """Steps, of so many that are planned, whose attention `rewrite` gets, which follows the last; empty = none."""
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


def importance_of(attention: Tensor, still_masked: Tensor) -> Tensor:
    """`[B, P]`: mean attention of the tokens that are still masked; 0 where none is. Arguments as of `Rewrite`."""
    weight = still_masked.float()[..., None]
    return (attention * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def keep_top(importance: Tensor, visual: Tensor, keep: float) -> Tensor:
    """Prefix entries that survive: all that are not visual, and of each row's n visual ones the ⌊keep · n⌋ (≥ 1) best.

    Args:
        importance: `[B, P]`, higher = keep; ties go to the lowest index.
        visual: `[B, P]` bool, the entries that may be dropped, equally many in every row.
        keep: fraction in (0, 1].

    Returns:
        `[B, K]` int64, ascending.

    Raises:
        ValueError: a fraction outside (0, 1], a wrong shape, or rows with no or differently many visual entries.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep must be in (0, 1], got {keep}")
    if visual.shape != importance.shape:
        raise ValueError(f"visual must be [B, P] = {list(importance.shape)}, got {list(visual.shape)}")
    counts = visual.sum(dim=1).tolist()
    if len(set(counts)) != 1 or counts[0] == 0:
        raise ValueError(f"every row needs the same number ≥ 1 of visual entries, got {counts}")
    kept_visual = max(1, int(keep * counts[0]))
    k = visual.shape[1] - counts[0] + kept_visual
    rank = importance.float().masked_fill(~visual, float("inf"))
    return rank.sort(dim=1, descending=True, stable=True).indices[:, :k].sort(dim=1).values
