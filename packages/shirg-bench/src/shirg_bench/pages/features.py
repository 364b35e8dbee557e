"""What selectors get of a page: features, attention, edges and patches; the tower's part is kept in a folder."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shirg_bench.pages.tower import PageTokens, Tower
from shirg_core.files import atomic_path
from shirg_core.images.views import ImageViews
from shirg_core.layout import ViewLayout
from shirg_core.scores.edges import layout_edges, patch_pixels

EDITION = 1
"""Of what is kept; a change of `tower` or `geometry` that changes features needs a new one."""


@dataclass(frozen=True, eq=False)
class PageFeatures:
    """A page's tokens.

    Attributes:
        layout: their geometry.
        encoded: their tokens.
        views: the page's pixels.
    """

    layout: ViewLayout
    encoded: PageTokens
    views: ImageViews

    @cached_property
    def edges(self) -> Tensor:
        """`[1, N]` edge density."""
        return layout_edges(self.views.pixels, self.layout)

    @cached_property
    def canny_edges(self) -> Tensor:
        """`[1, N]` share of each patch's pixels on one of Canny's edges."""
        return layout_edges(self.views.pixels, self.layout, operator="canny")

    @cached_property
    def patches(self) -> Tensor:
        """`[1, N, P]` the patches' own pixels, for methods that compare these."""
        return torch.cat([patch_pixels(crop, self.views.patch) for crop in self.views.pixels], dim=1)


class FeatureCache:
    """The tower's features by page, computed when they are not there yet.

    They are kept in half precision, and rounded to it where they are fresh, so that a resumed run chooses the same.

    Args:
        folder: made if it is not there.
        tower: called when features have to be computed: loading it takes seconds.
        tower_name: a part of the key.
    """

    def __init__(self, folder: Path, tower: Callable[[], Tower], tower_name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._load, self.tower_name = folder, tower, tower_name

    @cached_property
    def _tower(self) -> Tower:
        return self._load()

    def features(self, page: str, kind: str, views: ImageViews) -> PageFeatures:
        """Those of one page.

        Args:
            page: its digest.
            kind: of its views.
            views: its pixels.
        """
        key = blake2b("\0".join((page, kind, self.tower_name, str(EDITION))).encode(), digest_size=12).hexdigest()
        path = self._folder / f"{key}.npz"
        encoded = _read(path, views.layout.n_tokens)
        if encoded is None:
            encoded = PageTokens(*(part.half() for part in self._scaled(views)))
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **{name: part.numpy() for name, part in encoded._asdict().items()})
        return PageFeatures(views.layout, PageTokens(*(part.float() for part in encoded)), views)

    def _scaled(self, views: ImageViews) -> PageTokens:
        """Attention as a multiple of its mean: half precision would lose small shares."""
        encoded = self._tower.encode(views)
        n = views.layout.n_selectable
        return PageTokens(encoded.features, encoded.received * n, encoded.cls * n)


def _read(path: Path, n_tokens: int) -> PageTokens | None:
    """What a file holds; None where it is not there or damaged, and has to be computed again."""
    try:
        with np.load(path) as stored:
            encoded = PageTokens(*(torch.from_numpy(stored[name]) for name in PageTokens._fields))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return encoded if len(encoded.features) == n_tokens else None
