"""What a user should know before believing an answer: one line each, for standard error and the JSON summary.

The embedded models read small pages of one kind and one kind of question. What lies outside is told by facts about page
and question, and by how sure the model was; the threshold is measured, see the package's README.
"""

from __future__ import annotations

import re

from PIL import Image

from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.sampling.answer import Answer

UNSURE = 0.3
"""Of an answer's least probability. On unseen pages 2 % of `micro-joint`'s answers are below, one in three of them
right; of answers to what it cannot read 91 to 100 % are."""
PAGE_RATIO = 2
"""How much larger or smaller than the view that the model was trained on a page may be, before print is lost."""


def empty_note(answer: Answer) -> list[str]:
    """An answer without text."""
    if answer.text:
        return []
    return [
        "the answer is empty: the model settled the end of text first; a smaller --block-length or an --eos-penalty "
        "may help"
    ]


def embedded_notes(pipe: LavidaPipeline, image: Image.Image, question: str, answer: Answer) -> list[str]:
    """What is outside an embedded model's world, for the page `image`, the question, and the answer to it."""
    side = pipe.model.config.vision.image_size
    notes = []
    if len(image.convert("RGB").getcolors(maxcolors=1) or ()) == 1:
        notes.append("the page is blank")
    elif max(image.size) > PAGE_RATIO * side or PAGE_RATIO * min(image.size) < side:
        notes.append(
            f"the page has {image.width} × {image.height} pixels, but this model reads pages of {side} × {side}: "
            "other sizes are scaled, and their print is lost; name a real checkpoint by --model"
        )
    if unknown := unknown_words(pipe, question):
        words = ", ".join(repr(word) for word in unknown)
        notes.append(
            f"this model does not know {words}: it answers only questions such as 'What is the value of total?'"
        )
    if answer.confidence.min < UNSURE:
        notes.append(
            f"the model is unsure (least probability {answer.confidence.min:.2f}): it probably cannot read this page "
            "or answer this question"
        )
    return notes


def unknown_words(pipe: LavidaPipeline, question: str) -> list[str]:
    """Words of two letters or more that the tokenizer spells, because they are not in its vocabulary."""
    words = dict.fromkeys(re.findall(r"[^\W\d_]{2,}", question.replace("<image>", " ").lower()))
    return [word for word in words if len(pipe.tokenizer(word, add_special_tokens=False).input_ids) > 1]
