"""The featurizer `pixels`: features of patches from their pixels alone, for choosing tokens before any model exists.

    v_i = [ (p_i − paper) / 14√3 ,  4·s_i ,  0.1 ]                588 + 5 + 1 numbers for patches of 14 × 14 RGB pixels
    s_i = √ mean over the patch of ( |∂x Y|, |∂y Y|, |∂x Y + ∂y Y| / 2, |∂x Y − ∂y Y| / 2, |ΔY| / 2 )

What each score then sees on a page (shares of the edge mass of `examples/page.png` that SHIRG-v3 keeps at K = 768):

- Pixels are taken relative to the **paper**, the median colour of the image, so blank patches have no magnitude. With
  plain pixels white paper has the largest norm and the most likenesses, and the margins are kept: 7 %, against 85 % so.
- Pixels alone make two words unrelated, since their strokes fall on different pixels: 35 %. The **stroke statistics** s
  (central differences in four directions, Laplacian) forget positions: print resembles print.
- The square root lets faint print count nearly as much as bold: without it headlines go first, and on paper with a
  scanner's noise (σ = 5 of 255) 76 % of the ink is kept instead of 84 %.
- Division by 14√3 makes the norm of the pixel part a root mean square. At a factor of 4 the statistics carry nearly all
  of an inked patch (11 times the pixels' norm in the median), and pixels tell flat areas apart.
- The **constant** is the direction of blank paper: blank patches resemble one another, as in a model's features.
  As zero vectors they would resemble nothing, and methods that look for diversity would keep little else (DivPrune:
  0.1 % of the edge mass, 78 % so). It costs SHIRG-v3 one point.
- SHIRG-v2's channel variance follows the contrast inside the patch.

There is no text in this space: text relevance needs a model.

| symbol | variable   | shape                            |
|--------|------------|----------------------------------|
| p      | pixels     | per view `[1, 3, h·14, w·14]`     |
| Y      | luma       | per view `[1, 1, h·14, w·14]`     |
| v      | (returned) | `[1, N, 594]`                    |
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.images.views import ImageViews
from shirg_core.scores.edges import laplacian, luma, patch_pixels

STROKE_WEIGHT = 4.0
PAPER_NORM = 0.1


def pixel_features(views: ImageViews) -> Tensor:
    """Features of every token of an image's views.

    Args:
        views: pixels per view and their layout.

    Returns:
        `[1, N, 3·patch² + 6]` float32.
    """
    patches = torch.cat([patch_pixels(crop, views.patch) for crop in views.pixels], dim=1)
    strokes = torch.cat([_stroke_statistics(crop, views.patch) for crop in views.pixels], dim=1)
    batch, _, width = patches.shape
    paper = patches[:, views.layout.valid_mask()].reshape(batch, -1, 3).median(dim=1).values
    relative = patches - paper.repeat(1, width // 3)[:, None]
    constant = torch.full_like(relative[..., :1], PAPER_NORM)
    return torch.cat([relative / width**0.5, STROKE_WEIGHT * strokes, constant], dim=-1)


def _stroke_statistics(crop: Tensor, patch: int) -> Tensor:
    """`[B, 3, h·patch, w·patch]` → `[B, h·w, 5]`, s of the module's formula."""
    grey = luma(crop)
    padded = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    d_x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    d_y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    maps = torch.cat([d_x, d_y, (d_x + d_y) / 2, (d_x - d_y) / 2, laplacian(grey) / 2], dim=1).abs()
    return F.avg_pool2d(maps, patch).sqrt().flatten(2).transpose(1, 2)
