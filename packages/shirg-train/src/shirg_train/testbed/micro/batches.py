"""A step's pages as tensors; which pages, questions, template and tier follow from seed and step alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_train.seeds import draw, generator
from shirg_train.testbed.micro.config import MicroConfig, StageConfig
from shirg_train.testbed.pages.batch import PageBatch
from shirg_train.testbed.pages.config import split_seed
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokens import TEMPLATES, answer_ids, prompt_table, question_table
from shirg_train.testbed.pages.words import LABELS

ANSWER_LENGTH = 6
"""Characters of the longest value, and the end of turn."""


@dataclass(frozen=True)
class MicroBatch:
    """B pages, Q questions each, N patches, S cells in each.

    Attributes:
        images: `[B, 3, size, size]` uint8.
        head: `[H]` prompt ids before the image.
        tails: `[B, Q, M]` prompt ids after it.
        questions: `[B, Q, W]` ids of the user's words among them, which are what selectors see.
        label_at: index of the label in a tail.
        answers: `[B, Q, L]`.
        pointers: `[B, Q, L]` patch that shows an answer's character, −1 = none.
        chars: `[B, N, S]`, see `PageBatch`.
        owners: `[B, N, S]`.
        places: `[B, N, S]`.
        cut: `[B, N, S]`.
    """

    images: Tensor
    head: Tensor
    tails: Tensor
    questions: Tensor
    label_at: int
    answers: Tensor
    pointers: Tensor
    chars: Tensor
    owners: Tensor
    places: Tensor
    cut: Tensor


def draw_batch(config: MicroConfig, stage: StageConfig, step: int, tokenizer: Tokenizer) -> MicroBatch:
    """The pages of training step `step`, counted over all stages."""
    draws = generator(config.seed, "batch", step)
    tier = stage.tiers[int(torch.randint(len(stage.tiers), (), generator=draws))]
    first = torch.rand((), generator=draws, dtype=torch.float32) < 0.5
    template = 0 if first else int(torch.randint(stage.templates, (), generator=draws))
    at = int(torch.randint(2**38, (), generator=draws))
    seeds = [split_seed("train", at + i) for i in range(stage.pages)]
    data = draw(stage.data or (config.data,), config.seed, "data", step)
    return to_tensors(draw_pages(data.pages(config.size, tier), seeds), tokenizer, TEMPLATES[template])


def to_tensors(pages: PageBatch, tokenizer: Tokenizer, template: str) -> MicroBatch:
    """A page batch, asked with one template."""
    table = prompt_table(tokenizer, template)
    image_at = int(np.flatnonzero(table[0] == IMAGE_TOKEN_ID)[0])
    tails = torch.from_numpy(table[pages.question_labels][..., image_at + 1 :])
    label_at = int(np.flatnonzero(table[0] != table[1])[0]) - image_at - 1
    pointers = torch.full((*pages.question_labels.shape, ANSWER_LENGTH), -1)
    pointers[..., : pages.pointers.shape[-1]] = torch.from_numpy(pages.pointers).long()
    grey = torch.from_numpy(pages.images)
    return MicroBatch(
        images=grey[:, None].expand(-1, 3, -1, -1),
        head=torch.from_numpy(table[0, :image_at]),
        tails=tails,
        questions=torch.from_numpy(question_table(tokenizer, template)[pages.question_labels]),
        label_at=label_at,
        answers=torch.from_numpy(answer_ids(pages, tokenizer, ANSWER_LENGTH)),
        pointers=pointers,
        chars=torch.from_numpy(pages.chars).long(),
        owners=torch.from_numpy(pages.owners).long(),
        places=torch.from_numpy(pages.places).long(),
        cut=torch.from_numpy(pages.cut).long(),
    )


def label_tokens(tokenizer: Tokenizer, template: str = TEMPLATES[0]) -> Tensor:
    """`[labels]` the token that stands for each label in a question."""
    table = prompt_table(tokenizer, template)
    column = int(np.flatnonzero(table[0] != table[1])[0])
    tokens = torch.from_numpy(table[:, column])
    if len(tokens.unique()) != len(LABELS):
        raise ValueError(f"template {template!r} does not give every label a token of its own")
    return tokens
