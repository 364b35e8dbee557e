"""How a method may thin out the prefix inside the language model, as opposed to choosing tokens before it.

SHIRG needs none of this: it chooses before the prefix exists, and the cache is never touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from torch import Tensor

from shirg_lavida.language.cache import PrefixCache
from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.prompt.context import Context

Rewrite: TypeAlias = Callable[[PrefixCache, Tensor, Tensor], PrefixCache]
"""`rewrite(cache, attention [B, L, P], still_masked [B, L])` → a new cache. Its arguments: the first step's cache; what
that step's answer tokens paid to each prefix entry, mean over heads and layers; which of them stayed masked."""


class Pruning(Protocol):
    """Builds the prefix cache, and may replace it once, after the first denoising step.

    Attributes:
        rewrite: makes the cache that all steps but the first read; None = there is only one cache. With it, the first
            step also records its attention, which costs time and memory.
    """

    def prefill(self, backbone: DiffusionBackbone, context: Context) -> PrefixCache:
        """Run the prefix."""
        ...

    @property
    def rewrite(self) -> Rewrite | None: ...  # noqa: D102


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
