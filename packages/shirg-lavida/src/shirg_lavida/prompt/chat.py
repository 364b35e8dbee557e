"""From a question to the ids of a whole prompt, id for id as the released code makes them, and to those of its words.

    system turn, user turn with its images on a line before the question, and the header of the assistant's turn

in the tokenizer's own chat template; a tokenizer without one gets its family's. The text is tokenised in pieces, cut
where the images stand, for which the ids hold `IMAGE_TOKEN_ID`.

The released code drops one token from the start of every piece when the first piece begins with the start of text. That
is right for tokenizers that put one before each piece. LLaDA's does not: its template writes the start of text once, so
every later piece loses a token of its own, the line feed after the image, which the released training code keeps.
`released_ids=False` drops nothing but a start of text.

`question_ids` says what a selector sees of all this: the words of the user's turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer
from torch import Tensor

from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.families.llada import LLADA
from shirg_lavida.families.turns import Turns

if TYPE_CHECKING:
    from shirg_lavida.prompt.tokenizer import ChatTokenizer

IMAGE_PLACEHOLDER = "<image>"
SYSTEM_PROMPT = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
"""LaViDa was trained with these words."""


@dataclass(frozen=True)
class ChatStyle:
    """How a checkpoint is talked to.

    Args:
        system: the system turn; None = there is none.
        released_ids: reproduce the released code's ids, see the module.
        turns: for a tokenizer without a chat template.
    """

    system: str | None = SYSTEM_PROMPT
    released_ids: bool = True
    turns: Turns = LLADA.turns


def split_at_images(question: str, n_images: int) -> list[str]:
    """The texts before, between and after a question's images, `n_images + 1` of them.

    `<image>` says where an image stands if there are as many of them as images. With any other number they are words
    of the question, such as the name of a tag, and all images stand in front, on a line of their own, as the released
    evaluation puts them.
    """
    if not n_images:
        return [question]
    if question.count(IMAGE_PLACEHOLDER) == n_images:
        return question.split(IMAGE_PLACEHOLDER)
    return ["", *[" "] * (n_images - 1), f"\n{question}"]


def prompt_pieces(tokenizer: ChatTokenizer, question: str, style: ChatStyle, n_images: int = 1) -> list[str]:
    """The whole prompt as the texts before, between and after its images, `n_images + 1` of them.

    Args:
        tokenizer: whose chat template is used.
        question: may say where its images stand, see `split_at_images`.
        style: system turn.
        n_images: of the question.

    Raises:
        ValueError: an empty question, or a chat template that does not show each image once.
    """
    pieces = split_at_images(question, n_images)
    if not "".join(pieces).strip():
        raise ValueError(f"the question is empty: {question!r}")
    # Text that reads like a placeholder is not one.
    texts = [*pieces, style.system or ""]
    marker = next(m for n in count() if not any((m := f"<image {n}>") in text for text in texts))
    turns = [] if style.system is None else [{"role": "system", "content": style.system}]
    turns.append({"role": "user", "content": marker.join(pieces)})
    rendered = str(
        tokenizer.apply_chat_template(
            turns,
            chat_template=tokenizer.chat_template or style.turns.template,
            tokenize=False,
            add_generation_prompt=True,
        )
    )
    prompt = rendered.split(marker)
    if len(prompt) != len(pieces):
        raise ValueError(f"the chat template shows {len(prompt) - 1} of the question's {n_images} image(s)")
    return prompt


def prompt_ids(tokenizer: ChatTokenizer, question: str, style: ChatStyle, n_images: int = 1) -> Tensor:
    """`[L]` int64 ids of the whole prompt, `IMAGE_TOKEN_ID` for each image; see `prompt_pieces`.

    Raises:
        ValueError: see `prompt_pieces`.
    """
    pieces = [tokenizer(piece).input_ids for piece in prompt_pieces(tokenizer, question, style, n_images)]
    bos = tokenizer.bos_token_id
    starts = [bool(piece) and piece[0] == bos for piece in pieces]
    if style.released_ids:
        starts = [starts[0]] * len(pieces)
    ids = [bos] if starts[0] else []
    for number, (piece, start) in enumerate(zip(pieces, starts, strict=True)):
        ids += ([IMAGE_TOKEN_ID] if number else []) + piece[int(start) :]
    return torch.tensor(ids, dtype=torch.int64)


def question_words(question: str, n_images: int = 1) -> str:
    """The user's words: a question without the placeholders of its images, see `split_at_images`."""
    pieces = [piece.strip() for piece in split_at_images(question, n_images)]
    return " ".join(piece for piece in pieces if piece)


def question_ids(tokenizer: ChatTokenizer | Tokenizer, question: str, n_images: int = 1) -> Tensor:
    """`[M]` int64 ids of the user's words, which is the text that a selector sees: the only definition of it.

    No turn's header or end, no line feed around the images, no placeholder, no start of text, and no special token
    whose name stands in the question.

    Args:
        tokenizer: the checkpoint's.
        question: text of the user's turn; of a conversation, of the turn that the answer answers.
        n_images: of the question.

    Raises:
        ValueError: a question without words.
    """
    backend = tokenizer if isinstance(tokenizer, Tokenizer) else tokenizer.backend_tokenizer
    words = question_words(question, n_images)
    # By name, because an unknown character's token is a special one, too, in some tokenizers, but stands for a word.
    named = {i for i, token in backend.get_added_tokens_decoder().items() if token.special and token.content in words}
    ids = [i for i in backend.encode(words, add_special_tokens=False).ids if i not in named]
    if not ids:
        raise ValueError(f"the question has no words: {question!r}")
    return torch.tensor(ids, dtype=torch.int64)
