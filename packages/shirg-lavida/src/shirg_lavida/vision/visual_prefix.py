"""The one seam where selection happens: images → views → tower → project → select → newlines → prefix entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from shirg_core.images.load import upright_rgb
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection
from shirg_lavida.checkpoint.placement import device_of
from shirg_lavida.vision.options import VisionOptions, VisionPath, check_images
from shirg_lavida.vision.reading_order import in_reading_order
from shirg_lavida.vision.select_tokens import ImageBatch, project, select_tokens
from shirg_lavida.vision.views import ViewPlan, cut_views, normalize, plan_views, to_unit


class ImagePrefix(NamedTuple):
    """One image's entries of the prefix.

    Attributes:
        embeddings: `[T, d]`: kept tokens, newlines, summary, in reading order.
        places: `[T]` int64, their places in the full, unselected sequence.
        span: places the image takes up in it.
        layout: geometry of the tokens that were chosen from.
        selection: what was kept (batch of one); None without a selector.
    """

    embeddings: Tensor
    places: Tensor
    span: int
    layout: ViewLayout
    selection: Selection | None


def visual_prefix(
    model: VisionPath, images: Sequence[Image.Image], options: VisionOptions, text: Sequence[Tensor]
) -> list[ImagePrefix]:
    """Turn images into entries of the prefix.

    Tower and projector see all views of all images as one batch; images of one layout are selected as one batch.

    Args:
        model: tower, projector and newline embedding.
        images: Pillow images of any mode; each is turned upright and converted to RGB here, once.
        options: views, selector, newlines.
        text: per image, `[M, d]` embeddings of its question's tokens; M = 0 when there are none.

    Raises:
        ValueError: options the checkpoint cannot serve, images that are not a list of Pillow images, or what the
            selector refuses.
    """
    options.check(model.config)
    check_images(images)
    if not images:
        return []
    # 1. Turn every image upright and cut it into views.
    plans: list[ViewPlan] = []
    cuts: list[Tensor] = []
    for image in images:
        upright = upright_rgb(image)
        plans.append(plan_views(model.config, upright.size, options.views, selecting=options.selector is not None))
        cuts.append(cut_views(upright, plans[-1]))
    pixels = to_unit(torch.cat(cuts).to(device_of(model.tower)))
    # 2. Run the tower, and the projector unless the selector works on the tower's features.
    dtype, device = model.image_newline.dtype, model.image_newline.device
    seen = model.tower(normalize(pixels).to(dtype), attention=options.tower_attention)
    tokens = seen.features if options.select_on == "tower" else project(model, seen.features)
    # 3. Select, images of one layout together; then order what is kept and set newlines.
    ends = torch.tensor([len(cut) for cut in cuts]).cumsum(0).tolist()
    rows = [slice(end - len(cut), end) for cut, end in zip(cuts, ends, strict=True)]
    groups: dict[ViewPlan, list[int]] = defaultdict(list)
    for i, plan in enumerate(plans):
        groups[plan].append(i)
    entries: dict[int, ImagePrefix] = {}
    for plan, members in groups.items():
        batch = ImageBatch(
            tokens=torch.stack([tokens[rows[i]] for i in members]),
            pixels=torch.stack([pixels[rows[i]] for i in members]),
            attention=None if seen.attention is None else torch.stack([seen.attention[rows[i]] for i in members]),
            text=[text[i] for i in members],
        )
        kept, indices, summary, selection = select_tokens(model, plan, options, batch)
        summary = None if summary is None else summary.to(device)
        ordered = in_reading_order(
            plan, options.newline, kept.to(device), indices.to(device), model.image_newline, summary
        )
        for b, i in enumerate(members):
            entries[i] = ImagePrefix(*ordered[b], plan.layout, None if selection is None else selection.of_image(b))
    return [entries[i] for i in range(len(images))]
