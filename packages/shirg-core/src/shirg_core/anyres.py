"""Any-resolution layouts for real image sizes: LaViDa's choice of grid, its padding, and its unpadding.

An image is scaled (aspect ratio kept) and centred on the candidate canvas that preserves the most of its pixels, the
canvas is cut into square crops, and a plain resize of the whole image goes first as the base view. Tokens that show
only the canvas's black border are padding. The arithmetic (floors, ceilings, centring) is that of LaViDa's released
preprocessing (arXiv 2505.16839, derived from LLaVA-NeXT).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from shirg_core.layout import ViewLayout
from shirg_core.view import View

LAVIDA_CANVASES: tuple[tuple[int, int], ...] = ((384, 768), (768, 384), (768, 768), (1152, 384), (384, 1152))
"""`(width, height)` in pixels of LaViDa's five candidate canvases, crops of 384 px."""


@dataclass(frozen=True)
class Placement:
    """Where a scaled image lies on its canvas; all values in pixels.

    Args:
        canvas: `(width, height)` of the chosen canvas.
        image: `(width, height)` of the scaled image.
        offset: `(x, y)` of the image's top-left corner on the canvas.
    """

    canvas: tuple[int, int]
    image: tuple[int, int]
    offset: tuple[int, int]


def best_canvas(size: tuple[int, int], canvases: Sequence[tuple[int, int]] = LAVIDA_CANVASES) -> tuple[int, int]:
    """The canvas that keeps most pixels of an image; among equals the one with the least unused area.

    Args:
        size: `(width, height)` of the image in pixels.
        canvases: candidates, `(width, height)` in pixels; the first of equals wins.

    Raises:
        ValueError: an empty image or no candidates.
    """
    width, height = size
    if width < 1 or height < 1:
        raise ValueError(f"an image needs at least 1 × 1 pixels, got {width} × {height}")
    if not canvases:
        raise ValueError("at least one candidate canvas is needed")

    def kept_and_unused(canvas: tuple[int, int]) -> tuple[int, int]:
        scale = min(canvas[0] / width, canvas[1] / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        return kept, kept - canvas[0] * canvas[1]

    return max(canvases, key=kept_and_unused)


def place(size: tuple[int, int], canvas: tuple[int, int]) -> Placement:
    """Scale an image of `size` to fit `canvas`, aspect ratio kept, and centre it; `(width, height)` in pixels."""
    (width, height), (canvas_w, canvas_h) = size, canvas
    scale_w, scale_h = canvas_w / width, canvas_h / height
    if scale_w < scale_h:
        image = canvas_w, min(math.ceil(height * scale_w), canvas_h)
    else:
        image = min(math.ceil(width * scale_h), canvas_w), canvas_h
    return Placement(canvas, image, ((canvas_w - image[0]) // 2, (canvas_h - image[1]) // 2))


def unpad_margins(size: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns to drop on each side of a `(rows, cols)` grid that covers a whole canvas.

    Args:
        size: `(width, height)` of the original image in pixels.
        grid: `(rows, cols)` of tokens over the canvas.

    Returns:
        `(rows, cols)` to drop at the top and bottom, and at the left and right.
    """
    (width, height), (rows, cols) = size, grid
    if width / height > cols / rows:
        return (rows - int(height * (cols / width))) // 2, 0
    return 0, (cols - int(width * (rows / height))) // 2


def anyres_layout(
    size: tuple[int, int],
    *,
    side: int = 27,
    crop_px: int = 384,
    canvases: Sequence[tuple[int, int]] = LAVIDA_CANVASES,
) -> ViewLayout:
    """The layout of a real image: base view first, then crops in raster order, border tokens marked as padding.

    Args:
        size: `(width, height)` of the image in pixels.
        side: tokens along a crop's side (27 for SigLIP-384 with patch 14).
        crop_px: side of a crop in pixels.
        canvases: candidate canvases, `(width, height)` in pixels, multiples of `crop_px`.

    Raises:
        ValueError: an empty image, or a canvas that is not made of whole crops.
    """
    frozen = tuple((int(w), int(h)) for w, h in canvases)
    return _anyres_layout((int(size[0]), int(size[1])), side, crop_px, frozen)


@lru_cache(maxsize=1024)
def _anyres_layout(size: tuple[int, int], side: int, crop_px: int, canvases: tuple[tuple[int, int], ...]) -> ViewLayout:
    canvas_w, canvas_h = canvas = best_canvas(size, canvases)
    if canvas_w % crop_px or canvas_h % crop_px:
        raise ValueError(f"canvas {canvas} is not made of whole crops of {crop_px} px")
    rows, cols = canvas_h // crop_px, canvas_w // crop_px
    placement = place(size, canvas)
    drop_rows, drop_cols = unpad_margins(size, (rows * side, cols * side))
    valid = torch.zeros(rows * side, cols * side, dtype=torch.bool)
    valid[drop_rows : rows * side - drop_rows, drop_cols : cols * side - drop_cols] = True
    crops = [
        View(side, side, _crop_box(placement, r, c, crop_px), valid=valid[r * side :, c * side :][:side, :side])
        for r in range(rows)
        for c in range(cols)
    ]
    return ViewLayout(views=(View(side, side), *crops))


def _crop_box(placement: Placement, row: int, col: int, crop_px: int) -> tuple[float, float, float, float]:
    """Box of one crop in normalised coordinates of the image; outside [0, 1] where the crop shows canvas border."""
    (image_w, image_h), (off_x, off_y) = placement.image, placement.offset
    x0, y0 = (col * crop_px - off_x) / image_w, (row * crop_px - off_y) / image_h
    return x0, y0, x0 + crop_px / image_w, y0 + crop_px / image_h
