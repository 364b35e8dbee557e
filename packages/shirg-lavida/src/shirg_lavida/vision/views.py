"""From an image to the square views the tower sees, and the geometry of their tokens.

`anyres`, as the released code cuts it: the image is resized to one base view without regard to its aspect ratio, then
scaled and centred on the best of the candidate canvases (black border), which is cut into crops in raster order.
Resizing is Pillow's bicubic; pixel values are `(u/255 − ½)/½` in float32.

| views        | pixels                 | tokens per view (so400m)     | without a selector               |
| anyres       | base + crops of 384²   | 27² each                     | pooled to 14² each (released)    |
| anyres_full  | base + crops of 384²   | 27² each                     | every unpadded token             |
| pooled_base  | base + crops of 384²   | base 14², pinned; crops 27²  | every unpadded token             |
| single       | one view of 672²       | 48²                          | every token                      |
| single384    | one view of 384²       | 27²                          | every token                      |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shirg_core.anyres import anyres_layout, best_canvas, place, unpad_margins
from shirg_core.checks import check_choice
from shirg_core.layout import ViewLayout
from shirg_lavida.config import LavidaConfig

Views: TypeAlias = Literal["anyres", "anyres_full", "pooled_base", "single", "single384"]
BLACK = (0, 0, 0)


@dataclass(frozen=True)
class ViewPlan:
    """How one image is cut, and what its tokens are after any pooling.

    Attributes:
        px: side of each view in pixels.
        canvas: `(width, height)` of the crops' canvas in pixels; None for one view of the whole image.
        layout: geometry of the tokens, pooling included; this is what a selector sees.
        pooled: how many leading views are pooled (the rest keep their full grid).
        bare_rows: rows of the mosaic that get a newline although no token is left in them. The released code does that
            with an image so thin that unpadding removes every column.
    """

    px: int
    canvas: tuple[int, int] | None
    layout: ViewLayout
    pooled: int = 0
    bare_rows: int = 0

    @property
    def mosaic(self) -> tuple[int, int]:
        """`(rows, cols)` of the views that tile the image: the crops, or the one view itself."""
        return (1, 1) if self.canvas is None else (self.canvas[1] // self.px, self.canvas[0] // self.px)

    @property
    def n_views(self) -> int:
        """Views of the image, as `cut_views` cuts them."""
        rows, cols = self.mosaic
        return self.base_views + rows * cols

    @property
    def base_views(self) -> int:
        """Leading views outside the mosaic: the base view of anyres."""
        return 0 if self.canvas is None else 1


@lru_cache(maxsize=1024)
def plan_views(config: LavidaConfig, size: tuple[int, int], views: Views, *, selecting: bool) -> ViewPlan:
    """Decide views and token geometry for an image; see the table above.

    Args:
        config: the model's.
        size: `(width, height)` of the upright image in pixels.
        views: a name of the table.
        selecting: whether a selector will choose among the tokens.

    Raises:
        ValueError: an unknown name, an empty image, or views that a `pooler` projector cannot serve.
    """
    check_choice("views", views, get_args(Views))
    if config.projector == "pooler" and views in ("single", "pooled_base"):
        raise ValueError(f"views={views!r} needs a projector that works token by token, this checkpoint has a pooler")
    crop_px, side = config.vision.image_size, config.projected_side
    if views == "single384":
        return ViewPlan(crop_px, None, ViewLayout.single(side, side))
    if views == "single":
        px = config.vision.single_px
        return ViewPlan(px, None, ViewLayout.single(px // config.vision.patch_size, px // config.vision.patch_size))
    as_released = views == "anyres" and not selecting
    pool_all = as_released and config.projector != "pooler"
    grid = config.pooled_side if pool_all else side
    canvas = best_canvas(size, config.canvases)
    layout = anyres_layout(size, side=grid, crop_px=crop_px, canvases=config.canvases)
    if views == "pooled_base":
        base = replace(layout.views[0], h=config.pooled_side, w=config.pooled_side, pinned=True)
        return ViewPlan(crop_px, canvas, ViewLayout(views=(base, *layout.views[1:])), pooled=1)
    plan = ViewPlan(crop_px, canvas, layout, pooled=len(layout.views) if pool_all else 0)
    if as_released and not any(view.n_selectable for view in layout.views[1:]):
        rows, cols = (n * grid for n in plan.mosaic)
        plan = replace(plan, bare_rows=rows - 2 * unpad_margins(size, (rows, cols))[0])
    return plan


def cut_views(image: Image.Image, plan: ViewPlan) -> Tensor:
    """Cut an upright RGB image into its views: `[V, 3, px, px]` uint8, base view first, then crops in raster order."""
    px = plan.px
    cuts = [image.resize((px, px), Image.Resampling.BICUBIC)]
    if plan.canvas is not None:
        placement = place(image.size, plan.canvas)
        canvas = Image.new("RGB", plan.canvas, BLACK)
        canvas.paste(image.resize(placement.image, Image.Resampling.BICUBIC), placement.offset)
        rows, cols = plan.mosaic
        cuts += [canvas.crop((c * px, r * px, (c + 1) * px, (r + 1) * px)) for r in range(rows) for c in range(cols)]
    return torch.from_numpy(np.stack([np.asarray(cut) for cut in cuts])).permute(0, 3, 1, 2).contiguous()


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 → float32 in [0, 1], rounded as NumPy rounds `u · (1/255)` in float64 and then float32."""
    return pixels.double().mul_(1 / 255).float()


def normalize(unit: Tensor) -> Tensor:
    """[0, 1] → [−1, 1], SigLIP's mean ½ and standard deviation ½."""
    return (unit - 0.5) / 0.5
