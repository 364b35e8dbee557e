"""Questions and answers of page batches as token ids, looked up in tables instead of tokenised one by one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.prompt.chat import question_ids
from shirg_train.testbed.pages.batch import PageBatch
from shirg_train.testbed.pages.tokenizer import BOS, END_HEADER, EOT, START_HEADER, SpecialIds
from shirg_train.testbed.pages.words import ALPHABET, BLANK, LABELS, MAX_VALUE

TEMPLATES = (
    "What is the {}?",
    "What is {}?",
    "{}?",
    "How much is the {}?",
    "What does {} say?",
    "Read the value of {}.",
)
"""Ways to ask; every label has the same number of tokens in all of them."""


def prompt_table(tokenizer: Tokenizer, template: str = TEMPLATES[0]) -> NDArray[np.int64]:
    """`[labels, L]` ids of whole prompts: `<image>`, the question, and the header of the answer's turn.

    The image stands as `IMAGE_TOKEN_ID` in the user's turn, as LaViDa's `<image>` and a line feed put it.

    Raises:
        ValueError: a template that gives labels prompts of different lengths.
    """
    head = _ids(tokenizer, f"{BOS}{START_HEADER}user{END_HEADER}\n\n")
    tail = f"{EOT}{START_HEADER}assistant{END_HEADER}\n\n"
    rows = [[*head, IMAGE_TOKEN_ID, *_ids(tokenizer, "\n" + template.format(label) + tail)] for label in LABELS]
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"template {template!r} gives labels prompts of different lengths")
    return np.array(rows, np.int64)


def question_table(tokenizer: Tokenizer, template: str = TEMPLATES[0]) -> NDArray[np.int64]:
    """`[labels, W]` ids of the questions' words, which are what a selector sees of `prompt_table`'s prompts.

    Raises:
        ValueError: a template that gives labels questions of different lengths.
    """
    rows = [question_ids(tokenizer, template.format(label)) for label in LABELS]
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"template {template!r} gives labels questions of different lengths")
    return torch.stack(rows).numpy()


def answer_ids(batch: PageBatch, tokenizer: Tokenizer, length: int = MAX_VALUE + 1) -> NDArray[np.int64]:
    """`[B, Q, length]` ids of the answers: one token per character, end of turn, then end of text.

    Raises:
        ValueError: a length that cannot hold every value and its end of turn.
    """
    if length <= MAX_VALUE:
        raise ValueError(f"length must be at least {MAX_VALUE + 1}, got {length}")
    special = SpecialIds.of(tokenizer)
    of_code = np.array([*(tokenizer.token_to_id(ch.lower()) for ch in ALPHABET), special.eos])
    ids = np.full((*batch.answer_codes.shape[:2], length), special.eos, np.int64)
    # `BLANK` is −1: the table's last entry.
    ids[..., :MAX_VALUE] = of_code[batch.answer_codes]
    ends = (batch.answer_codes != BLANK).sum(-1)
    np.put_along_axis(ids, ends[..., None], special.eot, axis=-1)
    return ids


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)
