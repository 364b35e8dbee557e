"""The places of one image's rows, and the edges in the pixels behind them, or those pixels themselves.

Edges come from the pixels that the model is given, normalised as they are: selectors scale edges per image, and the
channels' standard deviations differ by a few per cent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from shirg_core.layout import ViewLayout
from shirg_core.scores import edge_density


class Geometry(NamedTuple):
    """One image's rows.

    Attributes:
        layout: the N tokens.
        pixels: a `Measure` of every token's pixels, `[1, N, …]`; None where the pixels' shape is unknown.
        tokens: `[N]` int64, which of the rows are tokens; None = all. The others are newlines.
        attention: `[1, N]`, received in the tower; None unless asked.
    """

    layout: ViewLayout
    pixels: Tensor | None
    tokens: Tensor | None = None
    attention: Tensor | None = None

    @property
    def n_rows(self) -> int:
        """Rows of the image, newlines included; newlines come last of all."""
        return self.layout.n_tokens if self.tokens is None else int(self.tokens[-1]) + 2

    def joined(self, tile: Geometry) -> Geometry:
        """The image with one more view; neither has newlines."""
        return Geometry(
            ViewLayout((*self.layout.views, *tile.layout.views)),
            _joined(self.pixels, tile.pixels),
            attention=_joined(self.attention, tile.attention),
        )


def _joined(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else torch.cat([first, second], dim=1)


Measure: TypeAlias = Callable[[Tensor, int, int], Tensor]
"""Of `pixels [views, C, H, W]` that h × w tokens cover, `[views·h·w, …]`."""


def cell_edges(pixels: Tensor, h: int, w: int) -> Tensor:
    """Edge density of every token's pixels, `[views·h·w]`."""
    return edge_density(pixels, h, w).flatten()


def cell_pixels(pixels: Tensor, h: int, w: int) -> Tensor:
    """The pixels of every token themselves, `[views·h·w, C·pixels]`, for methods that compare them."""
    cells = pixels.unflatten(3, (w, -1)).unflatten(2, (h, -1))  # [views, C, h, rows, w, columns]
    patches: Tensor = cells.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(0, 2)
    return patches


def measured(measure: Measure, pixels: Tensor, h: int, w: int) -> Tensor | None:
    """`[views, channels, H, W]` → `[1, views·h·w, …]`; like towers, without what fills no token at the border."""
    height, width = pixels.shape[-2] // h * h, pixels.shape[-1] // w * w
    if pixels.shape[1] not in (1, 3) or not height or not width:
        return None
    return measure(pixels[..., :height, :width].float(), h, w)[None]
