"""From an image to what a selector takes: views, pixel features, edge density."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor

from shirg_core.budget import Budget, kept_tokens
from shirg_core.checks import check_choice
from shirg_core.cli.errors import bad_input
from shirg_core.clock import Clock
from shirg_core.images.pixels import pixel_features
from shirg_core.images.views import ImageViews, anyres_views, single_view
from shirg_core.layout import ViewLayout
from shirg_core.scores.edges import layout_edges, patch_pixels
from shirg_core.selection import Selection, Selector

VIEWS: dict[str, Callable[[Image.Image], ImageViews]] = {"single": single_view, "anyres": anyres_views}


@dataclass(frozen=True)
class Material:
    """An image and its tokens: `features [1, N, D]`, `edges [1, N]`, `patches [1, N, P]` their pixels."""

    image: Image.Image
    layout: ViewLayout
    features: Tensor
    edges: Tensor
    patches: Tensor

    def budget(self, asked: Budget) -> int:
        """K, also for methods that decide their count themselves and never look at it.

        Raises:
            BadInput: the layout cannot hold it.
        """
        with bad_input(ValueError):
            return kept_tokens(asked, self.layout)

    def select(self, selector: Selector, *, on_pixels: bool = False) -> Selection:
        """Apply a selector.

        With `on_pixels` it compares patches instead of features, see `shirg_core.methods.Method`.

        Raises:
            BadInput: what the selector refuses, a budget that the layout cannot hold for instance.
        """
        with bad_input(ValueError):
            if on_pixels:
                chosen = selector(self.patches, self.layout, check_finite=True)
                return replace(chosen, kept=chosen.gather(self.features))
            return selector(self.features, self.layout, edges=self.edges, check_finite=True)


def prepare(image: Image.Image, views: str, clock: Clock) -> Material:
    """Featurize an image's views.

    Raises:
        BadInput: an unknown kind of views.
    """
    with bad_input(ValueError):
        check_choice("--views", views, VIEWS)
    with clock.stage("features"):
        cut = VIEWS[views](image)
        patches = torch.cat([patch_pixels(crop, cut.patch) for crop in cut.pixels], dim=1)
        return Material(image, cut.layout, pixel_features(cut), layout_edges(cut.pixels, cut.layout), patches)
