"""Exact match and validation NLL of a micro model per tier and policy.

Prefixes and answers are the model's own; the tower runs once per page for all policies. Intervals: see
`shirg_train.testbed.micro.interval`. Selectors that draw lots draw one set for 32 pages: their intervals leave out how
much sets differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.model import LavidaModel
from shirg_lavida.prompt.join import join
from shirg_lavida.prompt.prefix import Prefix, PrefixLike
from shirg_lavida.vision.options import VisionOptions
from shirg_lavida.vision.views import to_unit
from shirg_train.keep_ratio import PolicyConfig, build_policy
from shirg_train.loss import Nll
from shirg_train.seeds import derive, generator
from shirg_train.testbed.micro.batches import ANSWER_LENGTH, MicroBatch, to_tensors
from shirg_train.testbed.micro.config import DataConfig, SizeConfig
from shirg_train.testbed.micro.visual import VIEWS, page_entries, tower_features
from shirg_train.testbed.pages.config import Split, split_seed
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokens import TEMPLATES
from shirg_train.validation import validation_nll

CHUNK = 32


@dataclass(frozen=True)
class Score:
    """One row of the table.

    Attributes:
        policy: what was run.
        tier: of the pages.
        visual_tokens: mean entries of the prefix that stand for the page, newlines and summary included.
        correct: `[pages, questions]` bool.
        nll: validation NLL in nats per token, see `shirg_train.validation`; None where it was not asked for.
    """

    policy: PolicyConfig
    tier: str
    visual_tokens: float
    correct: NDArray[np.bool_]
    nll: float | None = None


def evaluate(
    model: LavidaModel,
    tokenizer: Tokenizer,
    policies: Sequence[PolicyConfig],
    *,
    size: SizeConfig,
    data: DataConfig,
    tier: str,
    pages: int,
    split: Split = "test",
    seed: int = 0,
    nll_times: int = 0,
) -> list[Score]:
    """Ask every question of `pages` unseen pages under every policy.

    Args:
        model: with a micro model's tower.
        tokenizer: its own.
        policies: to compare.
        size: the model's.
        data: how pages are drawn.
        tier: of the pages.
        pages: how many.
        split: whose pages.
        seed: draws random selections and masks.
        nll_times: diffusion times of the validation NLL; 0 = it is not measured.
    """
    correct: list[list[NDArray[np.bool_]]] = [[] for _ in policies]
    tokens: list[list[float]] = [[] for _ in policies]
    nll = [Nll(torch.zeros((), dtype=torch.float32), torch.zeros((), dtype=torch.float32)) for _ in policies]
    for start in range(0, pages, CHUNK):
        seeds = [split_seed(split, i) for i in range(start, min(start + CHUNK, pages))]
        batch = to_tensors(draw_pages(data.pages(size, tier), seeds), tokenizer, TEMPLATES[0])
        for i, (prefix, visual_tokens) in enumerate(prefixes(model, batch, policies, derive(seed, "evaluate", start))):
            given = model.sample(prefix, answer_length=ANSWER_LENGTH)
            right = (given == batch.answers.flatten(0, 1)).all(dim=1)
            correct[i].append(right.view(len(seeds), -1).numpy())
            tokens[i].append(visual_tokens * len(seeds))
            if nll_times:
                more = answers_nll(model, prefix, batch.answers.flatten(0, 1), nll_times, generator(seed, "nll", start))
                nll[i] = Nll(nll[i].total + more.total, nll[i].normaliser + more.normaliser)
    return [
        Score(
            policy,
            tier,
            sum(tokens[i]) / pages,
            np.concatenate(correct[i]),
            float(nll[i].total / nll[i].normaliser) if nll_times else None,
        )
        for i, policy in enumerate(policies)
    ]


def answers_nll(model: LavidaModel, prefix: PrefixLike, answers: Tensor, times: int, draws: torch.Generator) -> Nll:
    """Validation NLL of `answers [B, L]` given `prefix [B, P, d]`, see `shirg_train.validation`.

    The end of turn and one end of text are scored; further padding would only dilute the measure.
    """
    ended = answers == model.config.eos_token_id
    scored = ended.cumsum(1) <= 1
    mask_id = model.config.mask_token_id
    return validation_nll(model.backbone, prefix, answers, scored, mask_id=mask_id, generator=draws, times=times)


@torch.no_grad()
def prefixes(
    model: LavidaModel, batch: MicroBatch, policies: Sequence[PolicyConfig], seed: int
) -> Iterator[tuple[Prefix, float]]:
    """For every policy, the prefixes `[B·Q, P, d]` of all questions and the mean number of visual entries."""
    questions = batch.answers.shape[1]
    features = tower_features(model, batch.images, train_tower=False).to(model.image_newline.dtype)
    tokens = model.projector(features).repeat_interleave(questions, 0)
    pixels = to_unit(batch.images).repeat_interleave(questions, 0)
    tails = batch.tails.flatten(0, 1)
    heads = batch.head.expand(len(tails), -1)
    prompts = torch.cat([heads, torch.full((len(tails), 1), IMAGE_TOKEN_ID), tails], dim=1)
    texts = model.backbone.embed(torch.cat([heads, tails], dim=1))
    words = model.backbone.embed(batch.questions.flatten(0, 1))
    for policy in policies:
        built = build_policy(policy, seed, VIEWS)
        options = VisionOptions(built.selector, VIEWS, select_on=built.select_on)
        prefix = join(list(prompts), list(texts), page_entries(model, tokens, pixels, options, words), "packed")
        yield prefix, sum(prefix.visual_tokens) / len(prefix.visual_tokens)
