"""Where the attention that a tower's patches received lies: on which token of which image.

A tower may attend over every image by itself, over all of them at once (Pixtral), or over windows (Qwen2.5-VL), and a
feature may stand for several of its patches.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from shirg_core.layout import ViewLayout

TOWERS = ("vision_tower", "visual", "vision_model")

NO_PLACES = "tower_attention: the tower's grid does not fit the features"


def vision_tower(home: nn.Module) -> nn.Module:
    """The tower inside the module that has `get_image_features`.

    Raises:
        ValueError: none by transformers' names.
    """
    parts = dict(home.named_children())
    if name := next((name for name in TOWERS if name in parts), None):
        return parts[name]
    raise ValueError(
        f"attention maps are not available with {type(home).__name__}: it has none of {', '.join(TOWERS)}; observe its "
        "tower yourself with shirg_core.hf.tower_attention"
    )


def in_order(tower: nn.Module, images: list[Tensor], grids: Tensor | None, layer: int) -> list[Tensor]:
    """The maps of a tower that sorts its patches into windows (Qwen2.5-VL), in the patches' own order.

    Raises:
        ValueError: a layer that attends within windows.
    """
    window_index = vars(sys.modules[type(tower).__module__]).get("get_vision_window_index")
    if window_index is None or grids is None:
        return images
    own: Any = tower
    if len(images) != int(grids[:, 0].sum()):
        whole = f"give one of {list(own.fullatt_block_indexes)}"
        raise ValueError(f"attention_layer {layer} of {type(tower).__name__} attends within windows: {whole}")
    sizes = {name: getattr(own, name) for name in ("spatial_merge_size", "window_size", "patch_size")}
    order = window_index(grids, **sizes)[0].argsort()
    return [torch.cat(images).unflatten(0, (-1, own.spatial_merge_size**2))[order.to(images[0].device)].flatten()]


def split_maps(maps: Sequence[Tensor] | None, sizes: Sequence[int]) -> Sequence[Tensor | None]:
    """What the patches of every image received, `[size]` each, however many of them the tower attended over at once.

    Raises:
        ValueError: another number of patches.
    """
    if maps is None:
        return [None] * len(sizes)
    if (patches := sum(map(len, maps))) != sum(sizes):
        raise ValueError(f"{NO_PLACES}: it attended over {patches} patches, {sum(sizes)} lie behind the features")
    split: tuple[Tensor, ...] = torch.cat(list(maps)).split(list(sizes))
    return split


def grid_means(values: Tensor, layout: ViewLayout) -> Tensor:
    """`[s²·h·w]`, one for every patch of one view in raster order → `[1, h·w]`, means over the s × s of each token.

    Raises:
        ValueError: patches that do not fit the tokens.
    """
    (view,) = layout.views
    side = math.isqrt(len(values) // view.n_tokens)
    if side * side * view.n_tokens != len(values):
        raise ValueError(f"{NO_PLACES}: {len(values)} patches of an image with {view.h} × {view.w} features")
    return values.reshape(view.h, side, view.w, side).mean(dim=(1, 3)).reshape(1, -1)
