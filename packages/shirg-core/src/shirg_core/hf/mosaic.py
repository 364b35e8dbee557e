"""LLaVA-NeXT and LLaVA-OneVision: a base view, then the rows of the mosaic of all crops, a newline after each.

That is no `ViewLayout.anyres`, whose tokens come crop after crop: it is two grids, the second without padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.anyres import best_canvas, unpad_margins
from shirg_core.hf.maps import grid_means
from shirg_core.hf.places import Geometry, Measure, measured
from shirg_core.layout import ViewLayout
from shirg_core.view import View


def find_mosaics(
    home: Any,
    pixels: Tensor,
    sizes: list[list[int]],
    entries: Sequence[Tensor],
    maps: Sequence[Tensor] | None,
    measure: Measure,
) -> list[Geometry]:
    """Geometry of every image; a prompt of several has a base view of each, and one newline.

    Args:
        home: the module that has `get_image_features` and the newline.
        pixels: `[images, crops, 3, S, S]`, filled up, or `[all crops, 3, S, S]`.
        sizes: `(height, width)` of every image in pixels.
        entries: `[n, D]` rows of every image.
        maps: `[side²]` attention received in every base view and crop; None = not asked for.
        measure: of the pixels.

    Raises:
        ValueError: tokens that make no whole rows, or maps of another size.
    """
    crop_px = home.config.vision_config.image_size
    side, found, first = crop_px // home.config.vision_config.patch_size, [], 0
    canvases = [(width, height) for height, width in home.config.image_grid_pinpoints]
    for i, (rows, (height, width)) in enumerate(zip(entries, sizes, strict=True)):
        newline = (rows == home.image_newline.to(rows)).all(dim=-1)
        tokens, lines = (~newline).nonzero().flatten(), int(newline.sum())
        views, mosaic = [View(side, side)], len(tokens) - side**2
        canvas = best_canvas((width, height), canvases) if mosaic else (0, 0)
        down, across = canvas[1] // crop_px, canvas[0] // crop_px
        crops = pixels[i, : 1 + down * across] if pixels.dim() == 5 else pixels[first : first + 1 + down * across]
        cut = slice(first, first + 1 + down * across)
        first = cut.stop
        seen, attention = measured(measure, crops, side, side), None
        if maps is not None:
            view = ViewLayout.single(side, side)
            attention = torch.cat([grid_means(each, view) for each in maps[cut]]).reshape(1, -1)
        if mosaic:
            if not lines or mosaic % lines:
                raise ValueError(f"image {i}: {mosaic} tokens beside {side} × {side} make no {lines} rows")
            views.append(View(lines, mosaic // lines))
            place = partial(_placed, side=side, crops=(down, across), size=(width, height), mosaic=views[1])
            seen, attention = (None if x is None else place(x[0])[None] for x in (seen, attention))
        found.append(Geometry(ViewLayout(tuple(views)), seen, tokens, attention))
    return found


def _placed(values: Tensor, side: int, crops: tuple[int, int], size: tuple[int, int], mosaic: View) -> Tensor:
    """`[(1 + crops)·side², …]` → `[side² + h·w, …]`: crops in place, unpadded, and resized as their tokens are."""
    flat = values.reshape(-1, side, side, values[0].numel())
    whole = flat[1:].unflatten(0, crops).transpose(1, 2).flatten(2, 3).flatten(0, 1)
    top, left = unpad_margins(size, (whole.shape[0], whole.shape[1]))
    whole = whole[top : whole.shape[0] - top, left : whole.shape[1] - left]
    pooled = F.adaptive_avg_pool2d(whole.permute(2, 0, 1), (mosaic.h, mosaic.w)).permute(1, 2, 0)
    return torch.cat([flat[0].flatten(0, 1), pooled.flatten(0, 1)]).reshape(-1, *values.shape[1:])
