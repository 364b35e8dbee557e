"""Pages as views of a tower, and which tokens of them show print."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor

from shirg_bench.pages.page import Box, Line
from shirg_core.anyres import place
from shirg_core.images.views import ImageViews, anyres_views, cut_views
from shirg_core.layout import ViewLayout
from shirg_core.view import View

LEAST_COVER = 0.25
"""Minimum share of a token's area under a line box for the token to count as print."""


def padded_view(image: Image.Image, *, side: int = 48, patch: int = 14) -> ImageViews:
    """SHIRG-v3's view without distortion: the longer side fills 672 px, the page is centred, the rest is padding.

    Args:
        image: upright RGB.
        side: tokens along a side.
        patch: side of a patch in pixels.

    Returns:
        One view of `side × side` tokens. A token whose centre shows no page is padding.
    """
    pixels = side * patch
    placement = place(image.size, (pixels, pixels))
    (width, height), (left, top) = placement.image, placement.offset
    box = (-left / width, -top / height, (pixels - left) / width, (pixels - top) / height)
    centres = (torch.arange(side) + 0.5) * patch
    across, down = (centres >= left) & (centres < left + width), (centres >= top) & (centres < top + height)
    # A strip that is thinner than a patch may lie between two centres.
    across[min(side - 1, (left + width // 2) // patch)] = down[min(side - 1, (top + height // 2) // patch)] = True
    view = View(side, side, box, valid=down[:, None] & across)
    return cut_views(image, ViewLayout((view,)), patch=patch)


VIEWS: dict[str, Callable[[Image.Image], ImageViews]] = {"single": padded_view, "anyres": anyres_views}
"""What a page is seen in: v3's single view, or v2's base view and crops of 378 px."""


def covered(boxes: Sequence[Box], size: tuple[int, int], layout: ViewLayout, least: float = LEAST_COVER) -> Tensor:
    """Which tokens show one of the boxes.

    Args:
        boxes: in pixels of the page.
        size: `(width, height)` of the page.
        layout: geometry of the N tokens.
        least: share of a token's area that a box has to cover.

    Returns:
        `[N]` bool. A box that covers no token that much marks the one it covers most, so that no print is lost.
    """
    tokens = layout.boxes().double()
    marked = torch.zeros(layout.n_tokens, dtype=torch.bool)
    if not boxes:
        return marked
    scale = torch.tensor([*size, *size], dtype=torch.float64)
    for box in torch.tensor(boxes, dtype=torch.float64) / scale:
        overlap = (torch.minimum(tokens[:, 2:], box[2:]) - torch.maximum(tokens[:, :2], box[:2])).clamp_min(0)
        share = overlap.prod(1) / (tokens[:, 2:] - tokens[:, :2]).prod(1)
        share = share.masked_fill(~layout.valid_mask(), 0.0)
        here = share >= least
        marked |= here if here.any() else share == share.max().clamp_min(1e-12)
    return marked


def known_lines(lines: Sequence[Line], size: tuple[int, int], layout: ViewLayout, k: int) -> Tensor:
    """What someone keeps who knows where every line stands: as many whole lines as fit, and then part of one.

    The line that needs the fewest further tokens comes next; of equal ones the first.

    Args:
        lines: of the page.
        size: `(width, height)` of the page.
        layout: geometry of the N tokens.
        k: how many tokens may be kept.

    Returns:
        `[N]` bool, k tokens, or all with print where these are fewer.
    """
    left = torch.stack([covered(line.boxes, size, layout) for line in lines])
    kept = torch.zeros(layout.n_tokens, dtype=torch.bool)
    while left.any() and kept.sum() < k:
        further = left.sum(1)
        cheapest = further.masked_fill(further == 0, layout.n_tokens + 1).argmin()
        kept[left[cheapest].nonzero().flatten()[: k - int(kept.sum())]] = True
        left &= ~kept
    return kept
