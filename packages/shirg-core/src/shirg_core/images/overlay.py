"""Painting a selection over its image: pure arrays, every picture an indexing by the token under each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from shirg_core.layout import ViewLayout

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

COLORMAP = "viridis"
DIM_COLOUR = (0.80, 0.82, 0.86)
DIM_OPACITY = 0.78
OUTLINE_COLOUR = (0.84, 0.37, 0.0)
OUTLINE_OPACITY = 0.55
LONG_SIDE_PX = 1008
SHORT_SIDE_PX = 168


def display_size(size: tuple[int, int], long_side: int = LONG_SIDE_PX) -> tuple[int, int]:
    """`(width, height)` in pixels to show an image of `size` at; strips are widened until their patches can be seen."""
    scale = long_side / max(size)
    width, height = (max(round(side * scale), min(SHORT_SIDE_PX, long_side)) for side in size)
    return width, height


def page_pixels(image: Image.Image, size: tuple[int, int]) -> Floats:
    """`[H, W, 3]` in [0, 1]: the RGB image at `size` = `(width, height)`."""
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS), dtype=np.float64) / 255


def token_map(layout: ViewLayout, views: Sequence[int], size: tuple[int, int]) -> Ints:
    """Which token of `views` lies under each pixel of the whole image shown at `size` = `(width, height)`.

    Returns:
        `[H, W]` token indices; −1 where none of the views reaches. Where views overlap the later one is shown.
    """
    width, height = size
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    tokens = np.full((height, width), -1, dtype=np.int64)
    for i in views:
        view = layout.views[i]
        x0, y0, x1, y1 = view.box
        cols = np.floor((x - x0) / (x1 - x0) * view.w).astype(np.int64)
        rows = np.floor((y - y0) / (y1 - y0) * view.h).astype(np.int64)
        in_x, in_y = (cols >= 0) & (cols < view.w), (rows >= 0) & (rows < view.h)
        tokens[np.ix_(in_y, in_x)] = layout.starts[i] + rows[in_y, None] * view.w + cols[None, in_x]
    return tokens


def paint_kept(page: Floats, tokens: Ints, kept: Bools) -> Floats:
    """`[H, W, 3]`: kept patches as they are, everything else dimmed. `kept [N]`."""
    shown = (kept[tokens] & (tokens >= 0))[..., None]
    dimmed = page * (1 - DIM_OPACITY) + np.array(DIM_COLOUR) * DIM_OPACITY
    return np.where(shown, page, dimmed)


def paint_outlines(picture: Floats, tokens: Ints, regions: Ints) -> Floats:
    """`picture` with a one-pixel line wherever neighbouring pixels belong to different regions. `regions [N]`."""
    region = np.where(tokens >= 0, regions[tokens], -1)
    line = np.zeros(region.shape, dtype=bool)
    line[1:] |= region[1:] != region[:-1]
    line[:, 1:] |= region[:, 1:] != region[:, :-1]
    blended = picture * (1 - OUTLINE_OPACITY) + np.array(OUTLINE_COLOUR) * OUTLINE_OPACITY
    return np.where(line[..., None], blended, picture)


def paint_scores(tokens: Ints, scores: Floats, valid: Bools) -> Floats:
    """`[H, W, 3]`: scores in colour, from the least to the greatest valid one. `scores [N]`, `valid [N]`."""
    import matplotlib as mpl

    low, high = score_range(scores, valid)
    scaled = (scores - low) / (high - low) if high > low else np.zeros_like(scores)
    colours = mpl.colormaps[COLORMAP](np.clip(scaled, 0, 1))[:, :3]
    shown = (valid[tokens] & (tokens >= 0))[..., None]
    return np.where(shown, colours[tokens], np.array(DIM_COLOUR))


def score_range(scores: Floats, valid: Bools) -> tuple[float, float]:
    """Least and greatest score of a valid token."""
    return float(scores[valid].min()), float(scores[valid].max())
