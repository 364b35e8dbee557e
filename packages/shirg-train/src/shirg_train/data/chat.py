"""A family's chat template as token ids, split into what is given (the prompt) and what is learnt (the answer).

How turns are written says `shirg_lavida.families`. The prompt holds the answered questions so far and the one that is
asked, and ends after the header of the assistant's turn; the answer is the text and the end of its turn, so only it
bears labels. A single image stands at the start of its question's text, before a line feed.

The line feed is kept, as the released training code keeps it. LaViDa-LLaDA's released inference code loses it, see
`shirg_lavida.prompt.chat`: its released checkpoints meet it in training and not afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from tokenizers import Tokenizer
from torch import Tensor

from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.families.llada import LLADA
from shirg_lavida.families.registry import FAMILIES
from shirg_lavida.families.turns import Turns
from shirg_lavida.prompt.chat import question_ids, question_words
from shirg_lavida.prompt.light_tokenizer import TOKENIZER_FILE
from shirg_lavida.prompt.tokenizer import read_tokenizer
from shirg_train.data.record import IMAGE_PLACEHOLDER, CorruptSampleError, Turn


@dataclass(frozen=True)
class Encode:
    """Text with special tokens by name → ids, nothing added."""

    tokenizer: Tokenizer
    turns: Turns = LLADA.turns

    def __call__(self, text: str) -> list[int]:
        """The ids of a text."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids


Encoding: TypeAlias = Encode | Callable[[str], Sequence[int]]
"""An `Encode`, or any function from text to ids, which knows no special tokens that a question could name."""


def load_encoder(folder: Path) -> Encode:
    """The encoder of a checkpoint's tokenizer; its special tokens say whose turns it writes.

    Raises:
        OSError: there is none.
        ValueError: a damaged tokenizer, or one that lacks a special token of every family's turns.
    """
    file = folder / TOKENIZER_FILE
    tokenizer = Tokenizer.from_file(str(file)) if file.is_file() else read_tokenizer(folder).backend_tokenizer
    for family in FAMILIES.values():
        if all(tokenizer.token_to_id(token) is not None for token in family.turns.special_tokens):
            return Encode(tokenizer, family.turns)
    needed = " or ".join(" ".join(family.turns.special_tokens) for family in FAMILIES.values())
    raise ValueError(f"the tokenizer in {folder} must have the tokens {needed}, which begin and end turns")


def _turns(encode: Encoding) -> Turns:
    return encode.turns if isinstance(encode, Encode) else LLADA.turns


@dataclass(frozen=True)
class Exchange:
    """A question and its answer.

    Attributes:
        question: the user's text, a placeholder for each of its images.
        answer: the assistant's.
        n_images: placeholders in `question`.
    """

    question: str
    answer: str
    n_images: int


def exchanges(turns: Sequence[Turn], n_images: int) -> list[Exchange]:
    """Every question that is answered at once, with its answer and the images that come with it.

    An image comes with the question that has its placeholder, and with the first one if there is no placeholder at all.
    A question that is left out (not answered, or with an empty answer) passes its images on to the next one. Where each
    question has placeholders for all images, they are the same images, and only the first question shows them.

    Raises:
        CorruptSampleError: nothing is answered, every answer is empty, or another number of placeholders than images.
    """
    asked = [turn.text.count(IMAGE_PLACEHOLDER) for turn in turns if turn.role == "user"]
    repeated = sum(asked) > n_images and set(asked) <= {0, n_images}
    if sum(asked) not in (0, n_images) and not repeated:
        raise CorruptSampleError(f"placeholders: {sum(asked)} {IMAGE_PLACEHOLDER} for {n_images} image(s)")
    pairs: list[Exchange] = []
    waiting, coming, answered = 0 if any(asked) else n_images, n_images, False
    for at, turn in enumerate(turns):
        if turn.role != "user":
            continue
        own = min(turn.text.count(IMAGE_PLACEHOLDER), coming)
        coming -= own
        following = turns[at + 1] if at + 1 < len(turns) else None
        if following is None or following.role != "assistant" or not following.text.strip():
            answered |= following is not None and following.role == "assistant"
            waiting += own
            continue
        text = turn.text if own else turn.text.replace(IMAGE_PLACEHOLDER, "")
        pairs.append(Exchange(place_images(text, own, waiting), following.text, waiting + own))
        waiting = 0
    if not pairs:
        empty = "every answer is empty" if answered else "no user's turn is followed by an assistant's"
        raise CorruptSampleError(f"conversation: {empty}")
    return pairs


def place_images(question: str, n_images: int, before: int = 0) -> str:
    """A question with its placeholders: a single one goes first, several stay where they are."""
    if n_images == 1:
        question = f"{IMAGE_PLACEHOLDER}\n{question.replace(IMAGE_PLACEHOLDER, '').strip()}"
    return f"{IMAGE_PLACEHOLDER}\n" * before + question.strip()


def prompt_ids(talk: Sequence[Exchange], encode: Encoding, *, system: str | None = None) -> Tensor:
    """`[M]` int64 ids of the prompt that asks the last question, `IMAGE_TOKEN_ID` for every image.

    Args:
        talk: at least one exchange; the last one's answer is left out. `<image>` in an answer is text.
        encode: the tokenizer.
        system: text of a system turn before them; None = no such turn.
    """
    turns = _turns(encode)
    text = turns.start if system is None else f"{turns.start}{turns.header('system')}{system.strip()}{turns.end}"
    ids: list[int] = []
    for number, exchange in enumerate(talk):
        shown = f"{turns.header('user')}{exchange.question}{turns.end}{turns.header('assistant')}"
        first, *others = shown.split(IMAGE_PLACEHOLDER)
        text += first
        for part in others:
            ids += [*encode(text), IMAGE_TOKEN_ID]
            text = part
        if number < len(talk) - 1:
            text += f"{exchange.answer.strip()}{turns.end}"
    return torch.tensor([*ids, *encode(text)])


def word_ids(exchange: Exchange, encode: Encoding) -> Tensor:
    """`[W]` int64 ids of a question's words, see `shirg_lavida.prompt.chat.question_ids`.

    Raises:
        ValueError: a question without words.
    """
    if isinstance(encode, Encode):
        return question_ids(encode.tokenizer, exchange.question, exchange.n_images)
    words = encode(question_words(exchange.question, exchange.n_images))
    if not words:
        raise ValueError(f"the question has no words: {exchange.question!r}")
    return torch.tensor(words, dtype=torch.int64)


def answer_ids(answer: str, encode: Encoding) -> Tensor:
    """`[L]` int64 ids of an answer and its end of turn."""
    return torch.tensor(list(encode(answer.strip() + _turns(encode).end)))
