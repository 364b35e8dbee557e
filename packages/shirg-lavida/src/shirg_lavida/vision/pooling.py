"""2D pooling of a view's grid of tokens, stride 2: LaViDa's own way to fewer tokens.

`bilinear` resamples `h × w → ⌈h/2⌉ × ⌈w/2⌉` with half-pixel centres (27 → 14); `average` and `max` take whole 2 × 2
windows and drop an odd last row and column (27 → 13).
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from shirg_lavida.config import POOL_STRIDE, PoolMode


def pool_grid(tokens: Tensor, side: int, mode: PoolMode) -> Tensor:
    """Pool `[V, side·side, d]` → `[V, pooled·pooled, d]`.

    Raises:
        ValueError: the tokens do not fill the grid, or an unknown mode.
    """
    views, count, channels = tokens.shape
    if count != side * side:
        raise ValueError(f"2D pooling needs the full grid of {side} × {side} = {side * side} tokens, got {count}")
    grid = tokens.reshape(views, side, side, channels).permute(0, 3, 1, 2)
    if mode == "bilinear":
        pooled_side = math.ceil(side / POOL_STRIDE)
        grid = F.interpolate(grid, size=(pooled_side, pooled_side), mode="bilinear", align_corners=False)
    elif mode == "average":
        grid = F.avg_pool2d(grid, POOL_STRIDE)
    elif mode == "max":
        grid = F.max_pool2d(grid, POOL_STRIDE)
    else:
        raise ValueError(f"unknown pooling mode {mode!r}; expected bilinear, average or max")
    return grid.flatten(2).transpose(1, 2)
