"""LLaDA's chat template as token ids, split into what is given (the prompt) and what is learnt (the answer).

A turn is `<|start_header_id|>role<|end_header_id|>`, an empty line, its text, `<|eot_id|>`; a conversation starts with
`<|startoftext|>`. The prompt ends after the header of the assistant's turn; the answer is the text and `<|eot_id|>`, so
only it bears labels. A single image stands at the start of the user's text, before a line feed.

The line feed is kept, as the released training code keeps it. The released inference code loses it, see
`shirg_lavida.chat`: released checkpoints meet it in training and not afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import torch
from tokenizers import Tokenizer
from torch import Tensor

from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_train.data.record import IMAGE_PLACEHOLDER, CorruptSampleError, Turn

Encode: TypeAlias = Callable[[str], Sequence[int]]
"""Text with special tokens by name → ids, nothing added."""
BOS, EOT = "<|startoftext|>", "<|eot_id|>"
START_HEADER, END_HEADER = "<|start_header_id|>", "<|end_header_id|>"


def load_encoder(folder: Path) -> Encode:
    """The encoder of a checkpoint's `tokenizer.json`.

    Raises:
        OSError: there is none.
        ValueError: it lacks one of the template's special tokens.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise FileNotFoundError(f"no tokenizer.json in {folder}")
    tokenizer = Tokenizer.from_file(str(file))
    for name in (BOS, EOT, START_HEADER, END_HEADER):
        if tokenizer.token_to_id(name) is None:
            raise ValueError(f"{file} has no token {name!r}, which LLaDA's chat template needs")
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def header(role: str) -> str:
    """What opens a role's turn."""
    return f"{START_HEADER}{role}{END_HEADER}\n\n"


def exchanges(turns: Sequence[Turn]) -> list[tuple[str, str]]:
    """Every question that is answered at once, with its answer.

    Raises:
        CorruptSampleError: there is none, or an answer is empty.
    """
    pairs = [(q.text, a.text) for q, a in pairwise(turns) if (q.role, a.role) == ("user", "assistant")]
    if not pairs:
        raise CorruptSampleError("conversation: no user's turn is followed by an assistant's")
    if not all(answer.strip() for _, answer in pairs):
        raise CorruptSampleError("conversation: an answer is empty")
    return pairs


def place_images(question: str, n_images: int) -> str:
    """The question with one placeholder per image: a single one goes first; several stay, or all go first.

    Raises:
        CorruptSampleError: another number of placeholders than images.
    """
    found = question.count(IMAGE_PLACEHOLDER)
    if found not in (0, n_images):
        raise CorruptSampleError(f"placeholders: {found} {IMAGE_PLACEHOLDER} for {n_images} image(s)")
    if found == n_images and n_images != 1:
        return question.strip()
    text = question.replace(IMAGE_PLACEHOLDER, "").strip()
    return f"{IMAGE_PLACEHOLDER}\n" * n_images + text


def prompt_ids(question: str, n_images: int, encode: Encode, *, system: str | None = None) -> Tensor:
    """`[M]` int64 ids of a prompt, `IMAGE_TOKEN_ID` for every image.

    Args:
        question: the user's text.
        n_images: that belong to it.
        encode: the tokenizer.
        system: text of a system turn before it; None = no such turn.

    Raises:
        CorruptSampleError: another number of placeholders than images.
    """
    opening = BOS if system is None else f"{BOS}{header('system')}{system.strip()}{EOT}"
    text = f"{opening}{header('user')}{place_images(question, n_images)}{EOT}{header('assistant')}"
    ids: list[int] = []
    for number, part in enumerate(text.split(IMAGE_PLACEHOLDER)):
        ids += [IMAGE_TOKEN_ID] * (number > 0) + list(encode(part))
    return torch.tensor(ids)


def answer_ids(answer: str, encode: Encode) -> Tensor:
    """`[L]` int64 ids of an answer and its end of turn."""
    return torch.tensor(list(encode(answer.strip() + EOT)))
