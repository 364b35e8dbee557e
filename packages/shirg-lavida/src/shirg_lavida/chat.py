"""From a question to the ids of a whole prompt, id for id as the released code makes them.

    system turn, user turn with `<image>` on a line before the question, and the header of the assistant's turn

in the tokenizer's own chat template; a tokenizer without one gets LLaDA's. The text is tokenised in pieces, cut at
`<image>`, for which `IMAGE_TOKEN_ID` stands in the ids.

The released code drops one token from the start of every piece when the first piece begins with the start of text. That
is right for tokenizers that put one before each piece. LLaDA's does not: its template writes the start of text once, so
every later piece loses a token of its own, the line feed after the image, which the released training code keeps.
`released_ids=False` drops nothing but a start of text.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from shirg_lavida.config import IMAGE_TOKEN_ID

IMAGE_PLACEHOLDER = "<image>"
SYSTEM_PROMPT = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
"""LaViDa was trained with these words."""
LLADA_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}"
    "{% endfor %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
)


@dataclass(frozen=True)
class ChatStyle:
    """How a checkpoint is talked to.

    Args:
        system: the system turn; None = there is none.
        released_ids: reproduce the released code's ids, see the module.
    """

    system: str | None = SYSTEM_PROMPT
    released_ids: bool = True


def prompt_text(tokenizer: PreTrainedTokenizerFast, question: str, style: ChatStyle) -> str:
    """The whole prompt as text. A question without `<image>` gets one in front, on a line of its own.

    Raises:
        ValueError: an empty question.
    """
    if not question.replace(IMAGE_PLACEHOLDER, "").strip():
        raise ValueError(f"the question is empty: {question!r}")
    if IMAGE_PLACEHOLDER not in question:
        question = f"{IMAGE_PLACEHOLDER}\n{question}"
    turns = [] if style.system is None else [{"role": "system", "content": style.system}]
    turns.append({"role": "user", "content": question})
    return str(
        tokenizer.apply_chat_template(
            turns,
            chat_template=tokenizer.chat_template or LLADA_TEMPLATE,
            tokenize=False,
            add_generation_prompt=True,
        )
    )


def prompt_ids(tokenizer: PreTrainedTokenizerFast, question: str, style: ChatStyle) -> Tensor:
    """`[L]` int64 ids of the whole prompt, `IMAGE_TOKEN_ID` for each image.

    Raises:
        ValueError: an empty question.
    """
    pieces = [tokenizer(piece).input_ids for piece in prompt_text(tokenizer, question, style).split(IMAGE_PLACEHOLDER)]
    bos = tokenizer.bos_token_id
    starts = [bool(piece) and piece[0] == bos for piece in pieces]
    if style.released_ids:
        starts = [starts[0]] * len(pieces)
    ids = [bos] if starts[0] else []
    for number, (piece, start) in enumerate(zip(pieces, starts, strict=True)):
        ids += ([IMAGE_TOKEN_ID] if number else []) + piece[int(start) :]
    return torch.tensor(ids, dtype=torch.int64)
