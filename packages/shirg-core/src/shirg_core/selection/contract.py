"""The result of choosing tokens, and the contract every selector keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from shirg_core.layout import ViewLayout


@dataclass(frozen=True, eq=False)
class Selection:
    """Which of N tokens were kept, per image.

    Attributes:
        indices: `[B, K]` int64, unique and ascending, so raster order is preserved.
        scores: `[B, N]` float32, finite, higher = keep; padding reports the image's minimum.
        regions: `[B, N]` int64, the region each token belongs to, numbered from 0; −1 for padding.
        kept: `[B, K, D]`, the kept tokens (or what they were merged into), in the order of `indices`.
        summary: `[B, 1, D]`, one token standing for the dropped ones; None when nothing was dropped or none is wanted.
    """

    indices: Tensor
    scores: Tensor
    regions: Tensor
    kept: Tensor
    summary: Tensor | None = None

    @property
    def tokens(self) -> Tensor:
        """`[B, K (+ 1), D]`: the kept tokens, then the summary."""
        return self.kept if self.summary is None else torch.cat([self.kept, self.summary], dim=1)

    @property
    def mask(self) -> Tensor:
        """`[B, N]` bool, True where a token was kept."""
        return torch.zeros_like(self.regions, dtype=torch.bool).scatter(1, self.indices, value=True)

    def of_image(self, b: int) -> Selection:
        """Image b's part, as a batch of one."""
        at = slice(b, b + 1)
        summary = None if self.summary is None else self.summary[at]
        return Selection(self.indices[at], self.scores[at], self.regions[at], self.kept[at], summary)

    def gather(self, x: Tensor) -> Tensor:
        """Apply the same choice to any `[B, N, …]` tensor (position ids, boxes): `[B, K, …]`.

        `[1, N, …]`, what all images share, is gathered for each of them.

        Raises:
            ValueError: the first two dimensions are not `[B, N]` or `[1, N]`.
        """
        batch, n = self.scores.shape
        if x.shape[:2] not in ((batch, n), (1, n)):
            raise ValueError(f"gather needs a tensor [B, N, …] = {[batch, n]} or {[1, n]}, got {list(x.shape)}")
        return gather_tokens(x.expand(batch, *x.shape[1:]), self.indices)


def gather_tokens(x: Tensor, indices: Tensor) -> Tensor:
    """`x [B, N, …]`, `indices [B, K]` → `[B, K, …]`."""
    index = indices.reshape(*indices.shape, *[1] * (x.dim() - 2)).expand(*indices.shape, *x.shape[2:])
    return x.gather(1, index)


@runtime_checkable
class Selector(Protocol):
    """Chooses tokens once, before the first diffusion step.

    Shapes: `features [B, N, D]` floating; `text [B, M, D]` and `text_mask [B, M]` bool (True = real token), in the same
    space as the features; `edges [B, N]`, edge density per token; `attention [B, N]` ≥ 0, attention already received
    per token. An input that a selector has no use for is ignored; one that it needs and lacks is a `ValueError`.

    Guarantees: as many kept tokens as the budget asks for (a selector that cannot promise that says so), indices unique
    and ascending, padding never kept, pinned tokens always kept, no device synchronisation and no data-dependent shapes
    unless the selector says so. Gradients flow from the kept tokens and the summary to `features`, never through the
    scores.
    """

    def __call__(
        self,
        features: Tensor,
        layout: ViewLayout,
        *,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        edges: Tensor | None = None,
        attention: Tensor | None = None,
        impl: str = "auto",
        check_finite: bool = False,
    ) -> Selection:
        """Choose tokens; see the class for shapes and guarantees.

        Args:
            features: `[B, N, D]`.
            layout: geometry of the N tokens.
            text: `[B, M, D]`.
            text_mask: `[B, M]`.
            edges: `[B, N]`.
            attention: `[B, N]`.
            impl: `auto` may choose; `reference` and `triton` never fall back.
            check_finite: raise on NaN or Inf inputs (synchronises the device).

        Raises:
            ValueError: wrong shape or dtype, a missing input, or a budget the layout cannot hold.
        """
        ...
