"""The result of choosing tokens, and the contract every selector keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor

from shirg_core.layout import ViewLayout
from shirg_core.selection.notebook import headline, html
from shirg_core.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from shirg_core.images.load import Picture


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """Which of N tokens were kept, per image.

    `len(selection)` is B, `selection[b]` image b's part as a batch of one, and a loop gives one of these after another.
    `torch.load(…, weights_only=True)` reads a saved one where this class is imported.

    Attributes:
        indices: `[B, K]` int64, unique and ascending, so raster order is preserved.
        scores: `[B, N]` float32, finite, higher = keep; padding reports the image's minimum.
        regions: `[B, N]` int64, the region each token belongs to, numbered from 0; −1 for padding.
        kept: `[B, K, D]`, the kept tokens (or what they were merged into), in the order of `indices`.
        summary: `[B, 1, D]`, one token standing for the dropped ones; None when nothing was dropped or none is wanted.
        layout: geometry of the N tokens; None where the selector did not say.
        method: the registry's name of what chose them; None for a selector of one's own that has none.
    """

    indices: Tensor
    scores: Tensor
    regions: Tensor
    kept: Tensor
    summary: Tensor | None = None
    layout: ViewLayout | None = None
    method: str | None = None

    @property
    def tokens(self) -> Tensor:
        """`[B, K (+ 1), D]`: the kept tokens, then the summary."""
        return self.kept if self.summary is None else torch.cat([self.kept, self.summary], dim=1)

    @property
    def mask(self) -> Tensor:
        """`[B, N]` bool, True where a token was kept."""
        return torch.zeros_like(self.regions, dtype=torch.bool).scatter(1, self.indices, value=True)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, b: int | slice) -> Selection:
        """Image b's part as a batch of one, or those of a slice.

        Raises:
            IndexError: no such image.
        """
        if isinstance(b, slice):
            return self._map(lambda x: x[b])
        if not -len(self) <= b < len(self):
            raise IndexError(f"the selection is of {len(self)} images, got index {b}")
        b %= len(self)
        return self[b : b + 1]

    def __iter__(self) -> Iterator[Selection]:
        return (self[b] for b in range(len(self)))

    def to(self, device: torch.device | str) -> Selection:
        """The same on another device."""
        return self._map(lambda x: x.to(device))

    def cpu(self) -> Selection:
        """The same in main memory."""
        return self.to("cpu")

    def detach(self) -> Selection:
        """The same without gradients."""
        return self._map(torch.Tensor.detach)

    def overlay(self, image: Picture, title: str | None = None) -> Figure:
        """Draw the first image's kept tokens over it, with their scores; needs the extra `cli`.

        Args:
            image: see `shirg_core.plot.selection_figure`.
            title: one line; None = what `repr` says.

        Raises:
            ValueError: no layout, or an image that cannot be used.
        """
        from shirg_core.plot import selection_figure

        if self.layout is None:
            raise ValueError("the selection has no layout: draw it with shirg_core.plot.selection_figure")
        return selection_figure(image, self.layout, self, headline(self) if title is None else title)

    def __repr__(self) -> str:
        return f"Selection({headline(self)})"

    def _repr_html_(self) -> str:
        return html(self)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Selection:
        summary = None if self.summary is None else change(self.summary)
        indices, scores, regions, kept = map(change, (self.indices, self.scores, self.regions, self.kept))
        return Selection(indices, scores, regions, kept, summary, self.layout, self.method)

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
    if len(indices) == 1:
        # Copies whole rows, where `gather` looks up each value.
        return x.index_select(1, indices[0])
    index = indices.reshape(*indices.shape, *[1] * (x.dim() - 2)).expand(*indices.shape, *x.shape[2:])
    return x.gather(1, index)


# Files of selections hold these classes, and their tensors, only.
torch.serialization.add_safe_globals([Selection, ViewLayout, View])


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
