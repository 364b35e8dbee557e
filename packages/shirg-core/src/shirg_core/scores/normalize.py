"""Bringing score components to one scale, so that weights mean what they say.

    x̂_i = (x_i − min_g x) / (max_g x − min_g x)          g = the view or the image that token i belongs to

A group whose range is ≤ 1e-5 · max|x| counts as constant and becomes 0: rounding noise is not stretched to 1. Padding
takes no part. Variance, magnitude and gradient are normalised per view, because their scale differs between crops;
cosine, attention and edge are scale-free already and are normalised per image.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from shirg_core.constants import constant
from shirg_core.eager import can_ask
from shirg_core.layout import ViewLayout

CONSTANT_RANGE = 1e-5

Group = Literal["view", "image"]


def minmax(x: Tensor, layout: ViewLayout, per: Group, *, offset: float | Tensor = 0.0) -> Tensor:
    """Min–max normalise components to [0, 1].

    Args:
        x: `[…, N]`, raw components.
        layout: geometry of the N tokens.
        per: the group over which minimum and maximum are taken.
        offset: the component is `x + offset`; keeping a large constant apart keeps small differences precise. A number,
            or a tensor `[…, 1]`.

    Returns:
        `[…, N]` float32 in [0, 1]; 0 for padding and in constant groups.
    """
    values = x.float()
    valid = layout.valid_mask(x.device) if layout.has_padding else None
    if per == "image" or len(layout.views) == 1:
        return _minmax(values, valid, offset)
    offset = offset[..., None] if isinstance(offset, Tensor) else offset
    pieces = []
    for run in layout.runs:
        grid = values[..., run.start : run.stop].unflatten(-1, (run.views, -1))
        mask = None if valid is None else valid[run.start : run.stop].unflatten(0, (run.views, -1))
        pieces.append(_minmax(grid, mask, offset).flatten(-2))
    return torch.cat(pieces, dim=-1)


def saturate(x: Tensor, layout: ViewLayout, per: Group) -> Tensor:
    """Map components ≥ 0 to [0, 1) by `x / (x + x̄/3)`, where x̄ is their group's mean over selectable tokens.

    A few very large values leave the others where they are, which min–max scaling does not. Arguments as in `minmax`.

    Returns:
        `[…, N]` float32; 0 for padding, for negative values, and in groups without any value above 0.
    """
    values = x.float().clamp_min(0)
    if layout.has_padding:
        values = values.masked_fill(~layout.valid_mask(x.device), 0.0)
    if per == "image" or len(layout.views) == 1:
        return _saturate(values, 3 * layout.n_selectable)
    pieces = []
    for run, thrice in zip(layout.runs, _thrice_selectable(layout, x.device), strict=True):
        grid = values[..., run.start : run.stop].unflatten(-1, (run.views, -1))
        pieces.append(_saturate(grid, thrice).flatten(-2))
    return torch.cat(pieces, dim=-1)


@constant
def _thrice_selectable(layout: ViewLayout, device: torch.device) -> tuple[Tensor, ...]:
    """Three times the selectable tokens of each view, at least 3: `[views, 1]` float64 for each run."""
    thrice = torch.tensor([[3.0 * max(1, view.n_selectable)] for view in layout.views], dtype=torch.float64)
    return tuple(part.to(device) for part in thrice.split([run.views for run in layout.runs]))


def _saturate(x: Tensor, thrice: int | Tensor) -> Tensor:
    third = (x.sum(-1, keepdim=True, dtype=torch.float64) / thrice).float()
    # 0 / 0 where the whole group is 0.
    return (x / (x + third)).nan_to_num(0.0)


def _minmax(x: Tensor, valid: Tensor | None, offset: float | Tensor) -> Tensor:
    """Over the last dimension."""
    if valid is None:
        low, high = torch.aminmax(x, dim=-1, keepdim=True)
    else:
        low = x.masked_fill(~valid, torch.inf).amin(-1, keepdim=True)
        high = x.masked_fill(~valid, -torch.inf).amax(-1, keepdim=True)
    span = high - low
    if valid is None and can_ask(x) and _clearly_vary(low, high, offset):
        return (x - low) / span
    bottom, top = (low, high) if isinstance(offset, float) and offset == 0 else (low + offset, high + offset)
    # The larger of |bottom| and |top|, since bottom ≤ top. Not `span <= …`, which is no complement where it is NaN.
    constant_group = ~(span > CONSTANT_RANGE * torch.maximum(top, -bottom))
    # A constant group divides by 1, not by its own vanishing range: filling alone would still make NaN.
    scaled = (x - low) / span.masked_fill(constant_group, 1.0)
    return scaled.masked_fill(constant_group if valid is None else constant_group | ~valid, 0.0)


def _clearly_vary(low: Tensor, high: Tensor, offset: float | Tensor) -> bool:
    """Whether no group is constant, nor nearly so; False where a value is not finite."""
    beside = offset if isinstance(offset, float) else max(map(abs, offset.flatten().tolist()))
    extremes = zip(low.flatten().tolist(), high.flatten().tolist(), strict=True)
    return all(top - bottom > 2 * CONSTANT_RANGE * (max(top, -bottom) + beside) for bottom, top in extremes)
