"""Where the rows of an image lie, told by what the processor wrote beside its pixels.

| inputs (or model) hold      | families                    | rows of an image                                     |
|-----------------------------|-----------------------------|------------------------------------------------------|
| `image_grid_thw`            | Qwen-VL, GLM-4V and alike   | one grid; pixels are patches, in blocks to be merged |
| `image_position_ids`        | Gemma4, DiffusionGemma      | one grid; pixels are patches, each with its `(x, y)` |
| a parameter `image_newline` | LLaVA-NeXT, LLaVA-OneVision | base view, then the mosaic of crops, a newline a row |
| none of these               | all others                  | one grid of the pixels' aspect ratio                 |

Edges come from the pixels that the model is given, normalised as they are: selectors scale edges per image, and the
channels' standard deviations differ by a few per cent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.anyres import best_canvas, unpad_margins
from shirg_core.layout import ViewLayout
from shirg_core.scores import edge_density
from shirg_core.view import View


class Geometry(NamedTuple):
    """One image's rows.

    Attributes:
        layout: the N tokens.
        edges: `[1, N]`, None where the pixels have no known shape.
        tokens: `[N]` int64, which of the rows are tokens; None = all. The others are newlines.
    """

    layout: ViewLayout
    edges: Tensor | None
    tokens: Tensor | None = None

    @property
    def n_rows(self) -> int:
        """Rows of the image, newlines included; newlines come last of all."""
        return self.layout.n_tokens if self.tokens is None else int(self.tokens[-1]) + 2

    def joined(self, tile: Geometry) -> Geometry:
        """The image with one more view; neither has newlines."""
        edges = None if self.edges is None or tile.edges is None else torch.cat([self.edges, tile.edges], dim=1)
        return Geometry(ViewLayout((*self.layout.views, *tile.layout.views)), edges)


def find_geometry(home: Any, inputs: Mapping[str, Any], entries: Sequence[Tensor]) -> list[Geometry]:
    """Geometry of every image, in the order of the rows.

    Args:
        home: the module that has `get_image_features`.
        inputs: what the processor wrote.
        entries: `[n, D]` rows as the model groups them.

    Raises:
        ValueError: rows that make no grid.
    """
    vision, pixels = getattr(home.config, "vision_config", None), inputs["pixel_values"]
    if inputs.get("image_grid_thw") is not None:
        return _blocks(vision, pixels, inputs["image_grid_thw"].tolist())
    if inputs.get("image_position_ids") is not None:
        return [_patches(vision, *image) for image in zip(pixels, inputs["image_position_ids"], strict=True)]
    if isinstance(getattr(home, "image_newline", None), Tensor):
        return _mosaics(home, pixels, inputs["image_sizes"].tolist(), entries)
    return _grids(pixels, inputs.get("image_sizes"), entries)


def _blocks(vision: Any, pixels: Tensor, grids: list[list[int]]) -> list[Geometry]:
    merge, patch = vision.spatial_merge_size, vision.patch_size
    found = []
    for (frames, h, w), own in zip(grids, pixels.split([math.prod(grid) for grid in grids]), strict=True):
        rows, columns = h // merge, w // merge
        # [t, rows, columns, merge, merge, channels, frames a patch, patch, patch]; a still image repeats its frame.
        tiles = own.reshape(frames, rows, columns, merge, merge, -1, vision.temporal_patch_size, patch, patch)[
            ..., 0, :, :
        ]
        image = tiles.permute(0, 5, 1, 3, 6, 2, 4, 7).reshape(frames, -1, h * patch, w * patch)
        found.append(Geometry(ViewLayout((View(rows, columns),) * frames), _edges(image, rows, columns)))
    return found


def _patches(vision: Any, pixels: Tensor, places: Tensor) -> Geometry:
    real, patch, pool = (places >= 0).all(dim=-1), vision.patch_size, vision.pooling_kernel_size
    x, y = places[real].unbind(dim=-1)
    w, h = int(x.max()) + 1, int(y.max()) + 1
    image = pixels.new_zeros(h * w, pixels.shape[-1]).index_copy(0, (y * w + x).to(pixels.device), pixels[real])
    image = image.reshape(h, w, patch, patch, -1).permute(4, 0, 2, 1, 3).reshape(1, -1, h * patch, w * patch)
    return Geometry(ViewLayout.single(h // pool, w // pool), _edges(image, h // pool, w // pool))


def _mosaics(home: Any, pixels: Tensor, sizes: list[list[int]], entries: Sequence[Tensor]) -> list[Geometry]:
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
        first += 1 + down * across
        edges = _edges(crops, side, side)
        if mosaic:
            if not lines or mosaic % lines:
                raise ValueError(
                    f"image {i} has {mosaic} tokens beside its {side} × {side}, which make no {lines} rows"
                )
            views.append(View(lines, mosaic // lines))
            if edges is not None:
                edges = _mosaic_edges(edges[0].reshape(-1, side, side), (down, across), (width, height), views[1])[None]
        found.append(Geometry(ViewLayout(tuple(views)), edges, tokens))
    return found


def _mosaic_edges(edges: Tensor, crops: tuple[int, int], size: tuple[int, int], mosaic: View) -> Tensor:
    """`[1 + crops, side, side]` → `[side² + h·w]`: crops in their places, unpadded, and resized as their tokens are."""
    side = edges.shape[1]
    whole = edges[1:].reshape(*crops, side, side).transpose(1, 2).reshape(crops[0] * side, crops[1] * side)
    top, left = unpad_margins(size, (whole.shape[0], whole.shape[1]))
    whole = whole[top : whole.shape[0] - top, left : whole.shape[1] - left]
    return torch.cat([edges[0].flatten(), F.adaptive_avg_pool2d(whole[None], (mosaic.h, mosaic.w)).flatten()])


def _grids(pixels: Any, sizes: Tensor | None, entries: Sequence[Tensor]) -> list[Geometry]:
    total = sum(len(entry) for entry in entries)
    if not isinstance(pixels, Tensor) or pixels.dim() not in (4, 5):
        given = list(pixels.shape) if isinstance(pixels, Tensor) else type(pixels).__name__
        raise ValueError(
            f"pixel_values must be [images, 3, H, W] or [B, images, 3, H, W] to know the grid, got {given}"
        )
    if pixels.dim() == 5:  # SmolVLM: prompts with fewer images are filled up with zeros, which the model skips
        pixels = pixels.flatten(0, 1)
        pixels = pixels[(pixels != 0).flatten(1).any(dim=1)]
    if sizes is None and total % max(len(pixels), 1):
        raise ValueError(f"{len(pixels)} images have {total} features together, which is not the same number each")
    counts = [total // len(pixels)] * len(pixels) if sizes is None else [len(entry) for entry in entries]
    shapes = [pixels.shape[-2:]] * len(pixels) if sizes is None else sizes.tolist()
    found = []
    for image, n, (height, width) in zip(pixels, counts, shapes, strict=True):
        h, w = round(math.sqrt(n * height / width)), round(math.sqrt(n * width / height))
        if h * w != n:
            raise ValueError(f"{n} features of {height} × {width} pixels make no grid, so their places are unknown")
        found.append(Geometry(ViewLayout.single(h, w), _edges(image[None, :, :height, :width], h, w)))
    return found


def _edges(pixels: Tensor, h: int, w: int) -> Tensor | None:
    """`[views, channels, H, W]` → `[1, views·h·w]`; like towers, without what fills no token at the border."""
    height, width = pixels.shape[-2] // h * h, pixels.shape[-1] // w * w
    if pixels.shape[1] not in (1, 3) or not height or not width:
        return None
    return edge_density(pixels[..., :height, :width].float(), h, w).reshape(1, -1)
