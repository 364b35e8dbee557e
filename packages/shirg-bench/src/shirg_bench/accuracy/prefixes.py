"""Prefixes of a chunk under one variant, through the model's own selection, reading order and prompt.

A selection that does not read the question is made once per page.

B: pages, Q: questions of each, N: tokens, K: kept ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from shirg_bench.accuracy.image_wide import ImageWide
from shirg_bench.accuracy.pages import Encoded
from shirg_bench.accuracy.variant import Variant
from shirg_core import ShirgV2
from shirg_core.budget import kept_tokens
from shirg_core.methods import METHODS
from shirg_core.scores import attention_received
from shirg_core.selection import Selection, Selector
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.model import LavidaModel
from shirg_lavida.prompt.join import join
from shirg_lavida.prompt.prefix import Prefix
from shirg_lavida.pruning.protocol import Pruning
from shirg_lavida.vision.options import VisionOptions
from shirg_lavida.vision.views import ViewPlan
from shirg_lavida.vision.visual_prefix import ImagePrefix
from shirg_train.keep_ratio import build_policy
from shirg_train.seeds import derive
from shirg_train.testbed.compressors.contract import Compressor
from shirg_train.testbed.compressors.rows import compress, compressed_entries
from shirg_train.testbed.micro.batches import MicroBatch
from shirg_train.testbed.micro.visual import page_entries, page_plan, page_policy, token_of_patch, views_of


class PromptBatch(NamedTuple):
    """Prompts of a chunk.

    Attributes:
        prefix: `[B·Q, P, d]`.
        kept: `[B·Q]` kept tokens K.
        base: `[B·Q]` kept tokens of the base view; NaN without a base view, or where a variant does not report it.
        visual: `[B·Q]` entries that stand for the page, newlines and summary included.
        shown: `[B·Q]`, see `shirg_bench.accuracy.answers.Answers`.
        pruning: what the variant drops, or chooses again, inside the model.
    """

    prefix: Prefix
    kept: list[int]
    base: list[float]
    visual: list[int]
    shown: list[float]
    pruning: Pruning | None


@torch.no_grad()
def ask(
    model: LavidaModel,
    batch: MicroBatch,
    encoded: Encoded | None,
    variant: Variant,
    seeds: Sequence[int],
    compressor: Compressor | None = None,
) -> PromptBatch:
    """All questions of B pages under one variant.

    `encoded` is None where a `compressor` runs the tower itself; `seeds` are the pages' own, for random selections.
    """
    b, q = batch.answers.shape[:2]
    tails = batch.tails.flatten(0, 1)
    ids = [torch.cat([batch.head, torch.tensor([IMAGE_TOKEN_ID]), tail]) for tail in tails]
    texts = list(model.backbone.embed(torch.cat([batch.head.expand(b * q, -1), tails], dim=1)))
    words = list(model.backbone.embed(batch.questions.flatten(0, 1)))
    method = METHODS[variant.method]
    if variant.compression is not None:
        assert compressor is not None, "it comes with the weights"
        images = compressed_entries(model, compress(model, compressor, batch, variant.budget))
    elif encoded is None:
        raise ValueError(f"{variant.method} needs encoded pages")
    elif method.one_by_one:
        pages = (Encoded(*(x[i : i + 1] for x in encoded)) for i in range(b))
        chosen = (_images(model, page, (), variant, seed) for page, seed in zip(pages, seeds, strict=True))
        images = [image for each in chosen for image in each]
    elif method.reads_text:
        images = _images(model, Encoded(*(x.repeat_interleave(q, 0) for x in encoded)), words, variant, 0)
    else:
        images = _images(model, encoded, (), variant, 0)
    if len(images) == b:
        images = [image for image in images for _ in range(q)]
    prefix = join(ids, texts, images, variant.positions)
    kept = [image.layout.n_tokens if image.selection is None else image.selection.indices.shape[1] for image in images]
    plan = _plan(model, variant)
    pointers = batch.pointers.flatten(0, 1)
    if variant.late is not None:
        dropped = plan.layout.n_tokens - kept_tokens(variant.late.budget, plan.layout)
        visual = [n - dropped for n in prefix.visual_tokens]
        unknown = [math.nan] * len(images)
        return PromptBatch(prefix, [n - dropped for n in kept], unknown, visual, unknown, variant.late.pruning)
    if method.merges:
        shown = [math.nan] * len(images)
    else:
        tokens = token_of_patch(plan)
        shown = [_shown(image.selection, tokens[at[at >= 0]]) for image, at in zip(images, pointers, strict=True)]
    base = [_of_base_view(image.selection, plan) for image in images]
    pruning = build_policy(variant.policy, 0).pruning
    return PromptBatch(prefix, kept, base, list(prefix.visual_tokens), shown, pruning)


def chosen_again(
    asked: PromptBatch, model: LavidaModel, batch: MicroBatch, variant: Variant, final: Sequence[Selection | None]
) -> PromptBatch:
    """The same prompts, of which the last step read these selections."""
    plan, pointers = _plan(model, variant), batch.pointers.flatten(0, 1)
    tokens = token_of_patch(plan)
    kept = [plan.layout.n_tokens if each is None else each.indices.shape[1] for each in final]
    return asked._replace(
        kept=kept,
        base=[_of_base_view(each, plan) for each in final],
        visual=[n + now - before for n, now, before in zip(asked.visual, kept, asked.kept, strict=True)],
        shown=[_shown(each, tokens[at[at >= 0]]) for each, at in zip(final, pointers, strict=True)],
    )


def _plan(model: LavidaModel, variant: Variant) -> ViewPlan:
    """Of a page."""
    views = page_policy(variant.policy, 0, views_of(model)).views
    return page_plan(model, views, selecting=variant.policy.selects or variant.compression is not None)


def _shown(selection: Selection | None, tokens: Tensor) -> float:
    """Share of `tokens` that an image's own selection kept."""
    return 1.0 if selection is None else float(selection.mask[0, tokens].double().mean())


def _of_base_view(selection: Selection | None, plan: ViewPlan) -> float:
    """Kept tokens of an image's base view; NaN where it has none."""
    if not plan.base_views:
        return math.nan
    first = plan.layout.starts[plan.base_views]
    return first if selection is None else int((selection.indices < first).sum())


def _images(
    model: LavidaModel, pages: Encoded, text: Sequence[Tensor], variant: Variant, seed: int
) -> list[ImagePrefix]:
    """Entries of B pages, selected as one batch."""
    policy = variant.policy
    built = page_policy(policy, derive(seed, "selection"), views_of(model))
    selector: Selector | None = built.selector
    if variant.normalize == "image":
        assert isinstance(selector, ShirgV2), "only v2 normalises a component per view and is measured without"
        selector = ImageWide(selector)
    every_token = built.pruning is not None and built.pruning.every_token
    options = VisionOptions(selector, built.views, variant.newline, built.select_on, every_token=every_token)
    attention = pages.attention if built.tower_attention else None
    if policy.method == "v2" and policy.options.get("summary") == "attention":
        # v2 has no attention of its own to weigh the summary by; it gets v3's.
        attention = attention_received(pages.tokens, _plan(model, variant).layout)
    return page_entries(model, pages.tokens, pages.pixels, options, text, attention)
