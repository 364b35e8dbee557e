"""Views of an image as pixels: every view's box resampled so that each token covers exactly one square patch.

A view of `h × w` tokens becomes `h·patch × w·patch` pixels. For LaViDa's 27×27 crops that is 378 of the 384 pixels: the
tower's patches end there too, and here they tile the view exactly, so that a token's box and its pixels agree. Where a
view reaches outside the image, the image's border pixels are repeated: a black border, as models pad with, would put a
strong edge beside every page that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shirg_core.anyres import anyres_layout
from shirg_core.images.load import upright_rgb
from shirg_core.layout import ViewLayout
from shirg_core.view import View

PATCH_PX = 14


@dataclass(frozen=True)
class ImageViews:
    """An image cut into the views of a layout.

    Attributes:
        pixels: one `[1, 3, h·patch, w·patch]` float32 tensor in [0, 1] per view, in the layout's order.
        layout: the views.
        patch: side of a patch in pixels.
    """

    pixels: tuple[Tensor, ...]
    layout: ViewLayout
    patch: int = PATCH_PX


def single_view(image: Image.Image, *, side: int = 48, patch: int = PATCH_PX) -> ImageViews:
    """The whole image squashed to one square of `side × side` tokens, as SHIRG-v3 does: 672 × 672 pixels by default."""
    return cut_views(upright_rgb(image), ViewLayout.single(side, side), patch=patch)


def anyres_views(image: Image.Image, *, side: int = 27, patch: int = PATCH_PX) -> ImageViews:
    """LaViDa's views: the whole image squashed to a square, then crops of the canvas that fits it best."""
    upright = upright_rgb(image)
    return cut_views(upright, anyres_layout(upright.size, side=side), patch=patch)


def cut_views(image: Image.Image, layout: ViewLayout, *, patch: int = PATCH_PX) -> ImageViews:
    """Resample the box of every view of `layout` from an RGB image.

    Args:
        image: upright RGB, at least 1 × 1.
        layout: views with boxes in units of the image.
        patch: side of a patch in pixels.
    """
    return ImageViews(tuple(_sample(image, view, patch) for view in layout.views), layout, patch)


def _sample(image: Image.Image, view: View, patch: int) -> Tensor:
    """`[1, 3, h·patch, w·patch]` pixels of one view's box."""
    x0, y0, x1, y1 = view.box
    left, right, from_x, to_x = _inside(x0, x1, image.width, view.w * patch)
    top, bottom, from_y, to_y = _inside(y0, y1, image.height, view.h * patch)
    resized = image.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box=(from_x, from_y, to_x, to_y))
    border = ((top, view.h * patch - bottom), (left, view.w * patch - right), (0, 0))
    pixels = np.pad(np.asarray(resized), border, mode="edge")
    return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0).contiguous().float() / 255


def _inside(low: float, high: float, image_px: int, view_px: int) -> tuple[int, int, float, float]:
    """Along one axis, where a view shows the image: `[first, last)` in view pixels, `[from, to]` in image pixels.

    Never empty: a view wholly in the padding gets the image pixel nearest to it, to be repeated.
    """
    from_px = min(max(low * image_px, 0.0), image_px - 1.0)
    to_px = max(min(high * image_px, float(image_px)), from_px + 1.0)
    scale = view_px / ((high - low) * image_px)
    first = min(max(round((from_px - low * image_px) * scale), 0), view_px - 1)
    last = min(max(round((to_px - low * image_px) * scale), first + 1), view_px)
    return first, last, from_px, to_px
