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

from shirg_core.layout import ViewLayout

CONSTANT_RANGE = 1e-5

Group = Literal["view", "image"]


def minmax(x: Tensor, layout: ViewLayout, per: Group, *, offset: float = 0.0) -> Tensor:
    """Min–max normalise a component to [0, 1].

    Args:
        x: `[B, N]`, raw component.
        layout: geometry of the N tokens.
        per: the group over which minimum and maximum are taken.
        offset: the component is `x + offset`; keeping a large constant apart keeps small differences precise.

    Returns:
        `[B, N]` float32 in [0, 1]; 0 for padding and in constant groups.
    """
    values = x.float()
    valid = layout.valid_mask(x.device) if layout.has_padding else None
    if per == "image":
        return _minmax(values, valid, offset)
    pieces = []
    for run in layout.runs:
        grid = values[:, run.start : run.stop].unflatten(1, (run.views, run.h * run.w))
        mask = None if valid is None else valid[run.start : run.stop].unflatten(0, (run.views, run.h * run.w))
        pieces.append(_minmax(grid, mask, offset).flatten(1))
    return torch.cat(pieces, dim=1)


def saturate(x: Tensor, layout: ViewLayout, per: Group) -> Tensor:
    """Map a component ≥ 0 to [0, 1) by `x / (x + x̄/3)`, where x̄ is its group's mean over selectable tokens.

    A few very large values leave the others where they are, which min–max scaling does not. Arguments as in `minmax`.

    Returns:
        `[B, N]` float32; 0 for padding, for negative values, and in groups without any value above 0.
    """
    values = x.float().clamp_min(0)
    if layout.has_padding:
        values = values.masked_fill(~layout.valid_mask(x.device), 0.0)
    if per == "image":
        return _saturate(values, layout.n_selectable)
    parts = values.split([view.n_tokens for view in layout.views], dim=1)
    return torch.cat(
        [_saturate(part, view.n_selectable) for part, view in zip(parts, layout.views, strict=True)], dim=1
    )


def _saturate(x: Tensor, n: int) -> Tensor:
    third = (x.sum(-1, keepdim=True, dtype=torch.float64) / (3 * max(1, n))).float()
    return torch.where(x > 0, x / (x + third), torch.zeros_like(x))


def _minmax(x: Tensor, valid: Tensor | None, offset: float) -> Tensor:
    """Over the last dimension."""
    if valid is None:
        low, high = x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)
    else:
        low = x.masked_fill(~valid, torch.inf).amin(-1, keepdim=True)
        high = x.masked_fill(~valid, -torch.inf).amax(-1, keepdim=True)
    span = high - low
    varies = span > CONSTANT_RANGE * torch.maximum((low + offset).abs(), (high + offset).abs())
    # A constant group divides by 1, not by its own vanishing range: `where` alone would still make NaN.
    scaled = (x - low) / torch.where(varies, span, torch.ones_like(span))
    keep = varies if valid is None else varies & valid
    return torch.where(keep, scaled, torch.zeros_like(scaled))
