"""The one seam where selection happens: images → views → tower → project → select → newlines → prefix entries.

`encode` is its first half. Its result stands for the images wherever these are taken, so that one run of the tower
serves many selections.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from shirg_core.clock import Clock, stage
from shirg_core.images.load import upright_rgb
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection
from shirg_lavida.checkpoint.placement import device_of
from shirg_lavida.vision.options import VisionOptions, VisionPath, check_images
from shirg_lavida.vision.reading_order import in_reading_order, reading_order
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
        source: `[T]` int64, which of the kept tokens an entry is; −1 = a newline or the summary. None = not known.
        tokens: `[N, d]`, every token; None = not asked for.
        token_places: `[N]` int64, the place of every token; None = not asked for.
    """

    embeddings: Tensor
    places: Tensor
    span: int
    layout: ViewLayout
    selection: Selection | None
    source: Tensor | None = None
    tokens: Tensor | None = None
    token_places: Tensor | None = None


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """I images after tower and projector; V views over all of them, T tokens each.

    Attributes:
        plans: per image.
        tokens: `[V, T, d]`, projected; the tower's `[V, T, D]` where the selector works on those.
        pixels: `[V, 3, S, S]` in [0, 1], for edges and patches.
        attention: `[V, T]`, attention received in the tower; None unless asked.
    """

    plans: Sequence[ViewPlan]
    tokens: Tensor
    pixels: Tensor
    attention: Tensor | None = None

    def __len__(self) -> int:
        return len(self.plans)

    @property
    def bytes(self) -> int:
        """Of all tensors."""
        return sum(x.nbytes for x in (self.tokens, self.pixels, self.attention) if x is not None)

    def take(self, images: Sequence[int]) -> EncodedImages:
        """Some of the images, in any order."""
        ends = list(accumulate(plan.n_views for plan in self.plans))
        views = [view for i in images for view in range(ends[i] - self.plans[i].n_views, ends[i])]
        attention = None if self.attention is None else self.attention[views]
        return EncodedImages([self.plans[i] for i in images], self.tokens[views], self.pixels[views], attention)


def encode(
    model: VisionPath, images: Sequence[Image.Image], options: VisionOptions, clock: Clock | None = None
) -> EncodedImages:
    """Cut images into views and run tower and projector over all of them as one batch.

    Args:
        model: tower and projector.
        images: Pillow images of any mode, at least one; each is turned upright and converted to RGB here, once.
        options: views, and what the selector works on.
        clock: times the stage `tower`.
    """
    plans: list[ViewPlan] = []
    cuts: list[Tensor] = []
    for image in images:
        upright = upright_rgb(image)
        plans.append(plan_views(model.config, upright.size, options.views, selecting=options.selector is not None))
        cuts.append(cut_views(upright, plans[-1]))
    pixels = to_unit(torch.cat(cuts).to(device_of(model.tower)))
    with stage(clock, "tower"):
        normal = normalize(pixels).to(model.image_newline.dtype)
        seen = model.tower(normal, attention=options.tower_attention, layer=options.attention_layer)
    tokens = seen.features if options.select_on == "tower" else project(model, seen.features)
    return EncodedImages(plans, tokens, pixels, seen.attention)


def visual_prefix(
    model: VisionPath,
    images: Sequence[Image.Image] | EncodedImages,
    options: VisionOptions,
    text: Sequence[Tensor] | Tensor = (),
    clock: Clock | None = None,
) -> list[ImagePrefix]:
    """Turn images into entries of the prefix; images of one layout are selected as one batch.

    Args:
        model: tower, projector and newline embedding.
        images: see `encode`, or what it made of them under options that differ in selector and newline only.
        options: views, selector, newlines.
        text: per image, `[M, d]` embeddings of its question's tokens; M = 0 when there are none. Empty = no text.
        clock: times the stages `tower` and, where there is a selector, `select`.

    Raises:
        ValueError: options the checkpoint cannot serve, images that are not a list of Pillow images, or what the
            selector refuses.
    """
    options.check(model.config)
    if not isinstance(images, EncodedImages):
        check_images(images)
        if not images:
            return []
        # 1. Views, tower, projector (unless the selector works on the tower's features).
        images = encode(model, images, options, clock)
    # 2. Select, images of one layout together; then order what is kept and set newlines.
    device = model.image_newline.device
    groups: dict[ViewPlan, list[int]] = defaultdict(list)
    for i, plan in enumerate(images.plans):
        groups[plan].append(i)
    entries: dict[int, ImagePrefix] = {}
    for plan, members in groups.items():
        batch = ImageBatch(
            tokens=_views_of(images, members, images.tokens),
            pixels=_views_of(images, members, images.pixels),
            attention=None if images.attention is None else _views_of(images, members, images.attention),
            text=[text[i] for i in members] if len(text) else (),
        )
        kept, indices, summary, selection, tokens = select_tokens(model, plan, options, batch, clock)
        summary = None if summary is None else summary.to(device)
        token_places = None if tokens is None else reading_order(plan, options.newline).place.to(device)
        ordered = in_reading_order(
            plan, options.newline, kept.to(device), indices.to(device), model.image_newline, summary
        )
        for b, i in enumerate(members):
            embeddings, places, span, source = ordered[b]
            own = None if selection is None else selection[b]
            every = None if tokens is None else tokens[b].to(device)
            entries[i] = ImagePrefix(embeddings, places, span, plan.layout, own, source, every, token_places)
    return [entries[i] for i in range(len(images))]


def _views_of(images: EncodedImages, members: Sequence[int], x: Tensor) -> Tensor:
    """`x [V, …]` → `[B, V_b, …]`, of B images that have as many views."""
    if len(members) == len(images):
        return x.reshape(len(members), -1, *x.shape[1:])
    ends = list(accumulate(plan.n_views for plan in images.plans))
    return torch.stack([x[ends[i] - images.plans[i].n_views : ends[i]] for i in members])
