"""What a reader still reads of a page of which some patches were kept, against what it reads of all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image

from shirg_bench.explore.explored import Bools
from shirg_bench.pages.page import Line
from shirg_bench.pages.reader import Found, picture_key, read_share
from shirg_bench.pages.shown import Pixels, full_page, kept_page
from shirg_core.cli.errors import BadInput
from shirg_core.images.views import ImageViews, cut_views
from shirg_core.layout import ViewLayout

Reader: TypeAlias = Callable[[Pixels], Found]
"""From pixels to text and its boxes, see `shirg_bench.pages.reader`."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One image and who reads it.

    `readings` is filled here: methods that keep the same patches are read once.
    """

    image: Image.Image
    reader: Reader
    readings: dict[str, Found] = field(default_factory=dict)

    def lines(self, layout: ViewLayout) -> Sequence[Line]:
        """What is read of the whole page as a layout's only view shows it, top to bottom.

        Raises:
            BadInput: several views, which show a page more than once.
        """
        found = self._found(self._page(full_page(self._views(layout))))
        width, height = self.image.size
        boxes = [(text, (x0 * width, y0 * height, x1 * width, y1 * height)) for text, (x0, y0, x1, y1) in found]
        return [Line(text, (box,)) for text, box in sorted(boxes, key=lambda each: (each[1][1], each[1][0]))]

    def still_read(self, lines: Sequence[Line], layout: ViewLayout, kept: Bools) -> list[bool]:
        """Which lines are read where only kept patches have full resolution; see `shirg_bench.pages.shown`."""
        found = self._found(self._page(kept_page(self._views(layout), torch.from_numpy(kept))))
        return [read_share([line], found, self.image.size).lines == 1 for line in lines]

    def _views(self, layout: ViewLayout) -> ImageViews:
        if len(layout.views) != 1:
            raise BadInput(f"--reader reads pages of a single view: use --views single, got {len(layout.views)} views")
        return cut_views(self.image, layout)

    def _page(self, view: Pixels) -> Pixels:
        """A view's pixels in the page's own proportions: views of models are square."""
        width, height = self.image.size
        scale = max(view.shape[1] / width, view.shape[0] / height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return np.asarray(Image.fromarray(view).resize(size, Image.Resampling.BICUBIC))

    def _found(self, page: Pixels) -> Found:
        key = picture_key(page)
        if key not in self.readings:
            self.readings[key] = self.reader(page)
        return self.readings[key]
