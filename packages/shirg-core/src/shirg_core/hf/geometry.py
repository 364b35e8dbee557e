"""Where the rows of an image lie, from what the processor wrote beside its pixels.

| inputs (or model) hold      | families                    | rows of an image                                     |
|-----------------------------|-----------------------------|------------------------------------------------------|
| `image_grid_thw`            | Qwen-VL, GLM-4V and alike   | one grid; pixels are patches, in blocks to be merged |
|                             | PaddleOCR-VL, Kimi-K2.5     | the same, with patches line by line                  |
| `image_position_ids`        | Gemma4, DiffusionGemma      | one grid; pixels are patches, each with its `(x, y)` |
| a parameter `image_newline` | LLaVA-NeXT, LLaVA-OneVision | base view, then the mosaic of crops, a newline a row |
| none of these               | all others                  | one grid of the pixels' aspect ratio                 |
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from shirg_core.hf.maps import grid_means, split_maps
from shirg_core.hf.mosaic import find_mosaics
from shirg_core.hf.places import Geometry, Measure, cell_edges, measured
from shirg_core.layout import ViewLayout
from shirg_core.view import View


def find_geometry(
    home: Any,
    inputs: Mapping[str, Any],
    entries: Sequence[Tensor],
    maps: Sequence[Tensor] | None = None,
    measure: Measure = cell_edges,
) -> list[Geometry]:
    """Geometry of every image, in the order of the rows.

    `entries [n, D]` are rows as the model groups them; `maps`, the attention received by all patches, is None unless
    asked for.

    Raises:
        ValueError: rows that make no grid, or patches that do not fit them.
    """
    vision, pixels = getattr(home.config, "vision_config", None), inputs["pixel_values"]
    if inputs.get("image_grid_thw") is not None:
        return _blocks(home, inputs, maps, measure)
    if inputs.get("image_position_ids") is not None:
        received: Sequence[Tensor | None] = maps or [None] * len(pixels)
        each = zip(pixels, inputs["image_position_ids"], received, strict=True)
        return [_patches(vision, *image, measure) for image in each]
    if isinstance(getattr(home, "image_newline", None), Tensor):
        if inputs.get("image_sizes") is None:
            raise ValueError(f"{type(home).__name__} has image newlines, but the inputs hold no image_sizes")
        return find_mosaics(home, pixels, inputs["image_sizes"].tolist(), entries, maps, measure)
    return _grids(pixels, inputs.get("image_sizes"), entries, maps, measure)


def _blocks(home: Any, inputs: Mapping[str, Any], maps: Sequence[Tensor] | None, measure: Measure) -> list[Geometry]:
    pixels, grids = inputs["pixel_values"], inputs["image_grid_thw"].tolist()
    by_line = pixels.dim() == 4
    merges, patch, frames_a_patch = _patch_sizes(home, inputs)
    found = []
    sizes = [math.prod(grid) for grid in grids]
    if sum(sizes) != len(pixels):
        raise ValueError(f"image_grid_thw counts {sum(sizes)} patches, but pixel_values hold {len(pixels)}")
    received = split_maps(maps, sizes)
    for (frames, h, w), (down, across), own, values in zip(grids, merges, pixels.split(sizes), received, strict=True):
        rows, columns = h // down, w // across
        if by_line:  # [patches, channels, patch, patch], of one frame each
            lines = (frames, rows, down, columns, across)
            own = own.unflatten(0, lines).transpose(2, 3).flatten(0, 4)
            values = None if values is None else values.reshape(lines).transpose(2, 3)
        # [t, rows, columns, down, across, channels, frames a patch, patch, patch]; a still image repeats its frame.
        tiles = own.reshape(frames, rows, columns, down, across, -1, frames_a_patch, patch, patch)
        image = tiles[..., 0, :, :].permute(0, 5, 1, 3, 6, 2, 4, 7).reshape(frames, -1, h * patch, w * patch)
        attention = None if values is None else values.reshape(1, -1, down * across).mean(dim=-1)
        seen = measured(measure, image, rows, columns)
        found.append(Geometry(ViewLayout((View(rows, columns),) * frames), seen, attention=attention))
    return found


def _patch_sizes(home: Any, inputs: Mapping[str, Any]) -> tuple[list[tuple[int, int]], int, int]:
    """Patches down and across that make a row of every image, pixels a side of a patch, and its frames.

    Raises:
        ValueError: a model that does not say so.
    """
    vision, pixels = home.config.vision_config, inputs["pixel_values"]
    own = inputs.get("image_merge_sizes")  # VideoLLaMA3: of every image, beside patches of channels × frames
    merge = getattr(vision, "spatial_merge_size", getattr(vision, "merge_kernel_size", None))
    frames = 1 if pixels.dim() == 4 else getattr(vision, "temporal_patch_size", None)
    if own is not None:
        frames = pixels.shape[-1] // (vision.num_channels * vision.patch_size**2)
    elif merge is None or frames is None:
        lack = "spatial_merge_size" if merge is None else "temporal_patch_size"
        raise ValueError(f"{type(home).__name__} has no vision_config.{lack}, so the places of its patches are unknown")
    each: list[Any] = [merge] * len(inputs["image_grid_thw"]) if own is None else own.tolist()
    return [(size, size) if isinstance(size, int) else tuple(size) for size in each], vision.patch_size, frames


def _patches(vision: Any, pixels: Tensor, places: Tensor, values: Tensor | None, measure: Measure) -> Geometry:
    real, patch, pool = (places >= 0).all(dim=-1), vision.patch_size, vision.pooling_kernel_size
    x, y = places[real].unbind(dim=-1)
    w, h = int(x.max()) + 1, int(y.max()) + 1
    image = pixels.new_zeros(h * w, pixels.shape[-1]).index_copy(0, (y * w + x).to(pixels.device), pixels[real])
    image = image.reshape(h, w, patch, patch, -1).permute(4, 0, 2, 1, 3).reshape(1, -1, h * patch, w * patch)
    layout, attention = ViewLayout.single(h // pool, w // pool), None
    if values is not None:
        at = (y * w + x).to(values.device)
        attention = grid_means(values.new_zeros(h * w).index_copy(0, at, values[real.to(values.device)]), layout)
    return Geometry(layout, measured(measure, image, h // pool, w // pool), attention=attention)


def _grids(
    pixels: Any,
    sizes: Tensor | None,
    entries: Sequence[Tensor],
    maps: Sequence[Tensor] | None,
    measure: Measure,
) -> list[Geometry]:
    total = sum(len(entry) for entry in entries)
    if not isinstance(pixels, Tensor) or pixels.dim() not in (4, 5):
        given = list(pixels.shape) if isinstance(pixels, Tensor) else type(pixels).__name__
        raise ValueError(f"pixel_values must be [images, 3, H, W] or [B, images, 3, H, W], got {given}")
    if pixels.dim() == 5:  # SmolVLM: prompts with fewer images are filled up with zeros, which the model skips
        pixels = pixels.flatten(0, 1)
        pixels = pixels[(pixels != 0).flatten(1).any(dim=1)]
    if sizes is None and total % max(len(pixels), 1):
        raise ValueError(f"{len(pixels)} images have {total} features together, which is not the same number each")
    counts = [total // len(pixels)] * len(pixels) if sizes is None else [len(entry) for entry in entries]
    shapes = [pixels.shape[-2:]] * len(pixels) if sizes is None else sizes.tolist()
    found = []
    patches = sum(map(len, maps)) if maps else 0
    received = split_maps(maps, [n * patches // total for n in counts])
    for image, n, (height, width), values in zip(pixels, counts, shapes, received, strict=True):
        h, w = round(math.sqrt(n * height / width)), round(math.sqrt(n * width / height))
        if h * w != n:
            raise ValueError(f"{n} features of {height} × {width} pixels make no grid, so their places are unknown")
        layout = ViewLayout.single(h, w)
        attention = None if values is None else grid_means(values, layout)
        seen = measured(measure, image[None, :, :height, :width], h, w)
        found.append(Geometry(layout, seen, attention=attention))
    return found
