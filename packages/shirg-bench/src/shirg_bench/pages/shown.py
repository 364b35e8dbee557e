"""A page as what was kept of it: kept patches at full resolution, the rest averaged over 2 × 2 pixels.

Averaging pixels is to print what 2 × 2 pooling is to tokens: a quarter of the numbers. The means are enlarged again
bicubically, because the reader copes better with that than with squares of 2 × 2 equal pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from shirg_core.images.views import ImageViews

Pixels = NDArray[np.uint8]


def full_page(views: ImageViews) -> Pixels:
    """`[H, W, 3]`: the single view's page without its padding.

    Raises:
        ValueError: several views, which show a page more than once.
    """
    return _cropped(_pixels(views), views)


def averaged_page(views: ImageViews) -> Pixels:
    """`[H, W, 3]`: means over 2 × 2 pixels, enlarged to the page's size."""
    return _cropped(_averaged(_pixels(views)), views)


def kept_page(views: ImageViews, kept: Tensor) -> Pixels:
    """`[H, W, 3]`: `kept [N]` bool tokens as they are, the rest averaged."""
    view = views.layout.views[0]
    mask = kept.numpy().reshape(view.h, view.w).repeat(views.patch, 0).repeat(views.patch, 1)
    page = _pixels(views)
    return _cropped(np.where(mask[..., None], page, _averaged(page)), views)


def _pixels(views: ImageViews) -> Pixels:
    if len(views.pixels) != 1:
        raise ValueError(f"a page can be shown from one view, got {len(views.pixels)}")
    pixels = views.pixels[0][0].permute(1, 2, 0).numpy()
    return np.asarray(np.rint(pixels * 255), np.uint8)


def _averaged(page: Pixels) -> Pixels:
    height, width, channels = page.shape
    blocks = page.reshape(height // 2, 2, width // 2, 2, channels).astype(np.uint16)
    small = (blocks.sum(axis=(1, 3)) + 2) // 4
    means = Image.fromarray(small.astype(np.uint8))
    return np.asarray(means.resize((width, height), Image.Resampling.BICUBIC))


def _cropped(page: Pixels, views: ImageViews) -> Pixels:
    """Without the repeated border pixels around the page."""
    left, top, right, bottom = page_area(views)
    return page[top:bottom, left:right]


def page_area(views: ImageViews) -> tuple[int, int, int, int]:
    """`(left, top, right, bottom)` of the page in the single view's pixels."""
    height, width = views.pixels[0].shape[2:]
    x0, y0, x1, y1 = views.layout.views[0].box
    left, right = (round((edge - x0) / (x1 - x0) * width) for edge in (0.0, 1.0))
    top, bottom = (round((edge - y0) / (y1 - y0) * height) for edge in (0.0, 1.0))
    return left, top, right, bottom
