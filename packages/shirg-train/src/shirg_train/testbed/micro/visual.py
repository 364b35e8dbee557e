"""Pages through the model's own tower, and their entries of the prefix as padded rows, batched and differentiable.

A page is one view of the tower's own size, or a base view and 2 × 2 crops of that size: the model says which. The
training-only losses also look at what lies between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shirg_core.methods import get_method
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.model import LavidaModel
from shirg_lavida.prompt.join import join
from shirg_lavida.vision.options import VisionOptions
from shirg_lavida.vision.reading_order import Newline, reading_order
from shirg_lavida.vision.tower import TowerOutput
from shirg_lavida.vision.views import ViewPlan, Views, cut_views, normalize, plan_views, to_unit
from shirg_lavida.vision.visual_prefix import EncodedImages, ImagePrefix, visual_prefix
from shirg_train.keep_ratio import Policy, PolicyConfig, build_policy
from shirg_train.testbed.micro.config import CROPS

VIEWS: Views = "single384"
"""Of the embedded models: one view of the tower's own size."""


@dataclass(frozen=True)
class Visual:
    """B images, N patches; T entries of the prefix, shorter rows padded on the left.

    Attributes:
        rows: `[B, T, d]` what the language model reads: kept tokens, newlines, summary.
        valid: `[B, T]` bool, False = padding.
        columns: `[B, N]` column in `rows` of the token of every patch of the page, −1 for dropped ones; of crops, where
            there are any.
        weights: `[B, T]`, see `shirg_train.testbed.micro.answers.answer_pass`; None = all 1.
    """

    rows: Tensor
    valid: Tensor
    columns: Tensor
    weights: Tensor | None = None


def views_of(model: LavidaModel) -> Views:
    """In which views a micro model sees a page."""
    return Recommended.from_checkpoint(model.config.raw).views or VIEWS


def page_policy(policy: PolicyConfig, seed: int, views: Views) -> Policy:
    """A policy on its own views, or those of a model; one that keeps every token keeps all views', unpooled."""
    views = cast("Views | None", policy.views) or views
    whole = views == "anyres" and get_method(policy.method).keeps == "all"
    return build_policy(policy, seed, "anyres_full" if whole else views)


def page_plan(model: LavidaModel, views: Views, *, selecting: bool) -> ViewPlan:
    """Of a page, in some views of a model that is made for pages of this size."""
    side = model.config.vision.image_size * (1 if views_of(model) == VIEWS else CROPS)
    return plan_views(model.config, (side, side), views, selecting=selecting)


def page_views(model: LavidaModel, images: Tensor) -> Tensor:
    """Cut pages `[B, 3, P, P]` uint8 as inference does: `[B, V, 3, S, S]`; pages of another size, into other views."""
    plan = page_plan(model, views_of(model), selecting=True)
    if plan.canvas is None:
        return images[:, None]
    px = images.shape[-1] // CROPS
    plan = replace(plan, px=px, canvas=(px * CROPS, px * CROPS))
    return torch.stack([cut_views(Image.fromarray(np.ascontiguousarray(i.permute(1, 2, 0))), plan) for i in images])


def token_of_patch(plan: ViewPlan) -> Tensor:
    """`[patches]` the token of every patch of the page in raster order; of crops, where there are any."""
    (rows, cols), view = plan.mosaic, plan.layout.views[-1]
    crops = torch.arange(rows * cols * view.n_tokens).reshape(rows, cols, view.h, view.w)
    return plan.layout.starts[plan.base_views] + crops.transpose(1, 2).flatten()


def tower_features(model: LavidaModel, images: Tensor) -> Tensor:
    """The tower's features `[B, N, D]` of all views of pages `images [B, 3, P, P]` uint8; no gradient reaches it."""
    return tower_output(model, images).features


def tower_output(
    model: LavidaModel, images: Tensor, *, train_tower: bool = False, attention: bool = False
) -> TowerOutput:
    """The same, and the attention `[B, N]` that each token received there, if asked."""
    views = page_views(model, images).flatten(0, 1)
    with torch.set_grad_enabled(train_tower and torch.is_grad_enabled()):
        features, received = model.tower(normalize(to_unit(views)), attention=attention)
    features = features.reshape(len(images), -1, features.shape[-1])
    return TowerOutput(features, None if received is None else received.reshape(len(images), -1))


def on_page(model: LavidaModel, tokens: Tensor) -> Tensor:
    """Of `tokens [B, N, c]` of all views those of the page's patches, in raster order."""
    plan = page_plan(model, views_of(model), selecting=True)
    return tokens if plan.canvas is None else tokens[:, token_of_patch(plan)]


def page_entries(
    model: LavidaModel,
    tokens: Tensor,
    pixels: Tensor,
    options: VisionOptions,
    text: Sequence[Tensor] | Tensor = (),
    attention: Tensor | None = None,
) -> list[ImagePrefix]:
    """Entries of the prefix of B pages of N tokens, see `shirg_lavida.vision.visual_prefix.visual_prefix`.

    Args:
        model: whose newline is used.
        tokens: `[B, N, d]`, projected.
        pixels: `[B, V, 3, S, S]` in [0, 1].
        options: with views that the model's can be cut into.
        text: per page.
        attention: `[B, N]`, what a selector is told instead of attention of its own.
    """
    plan = page_plan(model, options.views, selecting=options.selector is not None)
    of_view = tokens.unflatten(1, (plan.n_views, -1)).flatten(0, 1)
    attention = None if attention is None else attention.reshape(of_view.shape[:2])
    images = EncodedImages([plan] * len(tokens), of_view, pixels.flatten(0, 1), attention)
    return visual_prefix(model, images, options, text)


def visual_rows(
    model: LavidaModel,
    images: Tensor,
    features: Tensor,
    policy: Policy,
    text: Sequence[Tensor] | Tensor = (),
    attention: Tensor | None = None,
) -> Visual:
    """Project, select, order and pad.

    Args:
        model: whose projector and newline are used.
        images: pages `[B, 3, P, P]` uint8, for edges and patches.
        features: `[B, N, D]` from `tower_features`.
        policy: see `page_policy`.
        text: `[B, W, d]` embeddings of the words of each row's question; empty without a question.
        attention: `[B, N]`, see `page_entries`.
    """
    options = VisionOptions(policy.selector, policy.views, select_on=policy.select_on)
    pixels = to_unit(page_views(model, images))
    entries = page_entries(model, model.projector(features), pixels, options, text, attention)
    return padded_rows(entries, page_plan(model, policy.views, selecting=policy.selector is not None), options.newline)


def padded_rows(entries: Sequence[ImagePrefix], plan: ViewPlan, newline: Newline) -> Visual:
    """Pad the entries of B pages, each of one plan."""
    # Each page a prompt of its own, whose positions are the entries' places on the full page.
    place = torch.tensor([IMAGE_TOKEN_ID])
    nothing = entries[0].embeddings[:0]
    prefix = join([place] * len(entries), [nothing] * len(entries), entries, "original")
    rows, places = prefix.embeddings, prefix.positions
    assert places is not None, "original positions are always given"
    valid = torch.ones_like(places, dtype=torch.bool) if prefix.mask is None else prefix.mask
    count = plan.layout.n_tokens
    kept = [torch.arange(count)[None] if e.selection is None else e.selection.indices for e in entries]
    indices = torch.cat(kept)
    place = reading_order(plan, newline).place[indices]
    at = (places.masked_fill(~valid, -1)[:, None] == place[..., None]).int().argmax(dim=-1)
    columns = torch.full((len(rows), count), -1).scatter(1, indices, at)
    return Visual(rows, valid, columns[:, token_of_patch(plan)])
