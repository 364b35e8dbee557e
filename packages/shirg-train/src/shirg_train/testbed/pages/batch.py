"""A batch of pages: images, what they say, and what every patch shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shirg_train.testbed.pages.config import PageConfig
from shirg_train.testbed.pages.words import ALPHABET, BLANK, LABELS, MAX_VALUE

NONE = 0
IGNORE = -1
QUESTION = "What is the value of {}?"
"""The question that users are shown. The micro models were not trained on it, and answer it as well as those they were
trained on: at most 1.6 points apart, from all tokens and from a third of them."""


@dataclass(frozen=True)
class PageBatch:
    """B pages with Q questions each, N patches in raster order, S cells inside a patch in raster order.

    Attributes:
        seeds: `[B]` of the pages.
        images: `[B, size, size]` (grey) or `[B, size, size, 3]` uint8.
        question_labels: `[B, Q]` index into `LABELS` of what is asked.
        answer_codes: `[B, Q, MAX_VALUE]` index into `ALPHABET`, `BLANK` after the end.
        question_faces: `[B, Q]` index into `FACE_NAMES`: the answer's print size.
        question_kinds: `[B, Q]` index into `KINDS`: what the answer stands in.
        answer_patches: `[B, Q, N]` bool, patches that the printed answer touches.
        label_patches: `[B, Q, N]` bool, patches that the printed label touches.
        pointers: `[B, Q, MAX_VALUE]` patch under the centre of every character of the answer, −1 after the end.
        chars: `[B, N, S]` 1 + index into `ALPHABET` of the glyph centred in the cell; `NONE`, or `IGNORE` in patches of
            unasked dense print, which is not spelt out.
        owners: `[B, N, S]` 1 + index into `LABELS` of the label that the glyph is part of or belongs to.
        places: `[B, N, S]` 1 + place in the value, for glyphs of values.
        cut: `[B, N, S]` per cent of the box of the glyph in `chars` that lie in other patches.
    """

    seeds: NDArray[np.int64]
    images: NDArray[np.uint8]
    question_labels: NDArray[np.int16]
    answer_codes: NDArray[np.int16]
    question_faces: NDArray[np.int16]
    question_kinds: NDArray[np.int16]
    answer_patches: NDArray[np.bool_]
    label_patches: NDArray[np.bool_]
    pointers: NDArray[np.int32]
    chars: NDArray[np.int16]
    owners: NDArray[np.int16]
    places: NDArray[np.int16]
    cut: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.seeds)

    def image(self, page: int) -> Image.Image:
        """A page as a picture."""
        return Image.fromarray(self.images[page])

    def label(self, page: int, question: int) -> str:
        """What is asked, lower case."""
        return LABELS[int(self.question_labels[page, question])]

    def question(self, page: int, question: int, template: str = QUESTION) -> str:
        """The question in words; `tokens.TEMPLATES` has the templates that the micro models were trained on."""
        return template.format(self.label(page, question))

    def answer(self, page: int, question: int) -> str:
        """The right answer, as printed."""
        return "".join(ALPHABET[code] for code in self.answer_codes[page, question] if code != BLANK)


def allocate(config: PageConfig, n_pages: int) -> PageBatch:
    """Empty arrays for `n_pages` pages."""
    q, n, s = config.questions, config.side**2, config.slots[0] * config.slots[1]
    shape = (n_pages, config.size, config.size)
    return PageBatch(
        seeds=np.zeros(n_pages, np.int64),
        images=np.zeros(shape if config.channels == 1 else (*shape, 3), np.uint8),
        question_labels=np.zeros((n_pages, q), np.int16),
        answer_codes=np.zeros((n_pages, q, MAX_VALUE), np.int16),
        question_faces=np.zeros((n_pages, q), np.int16),
        question_kinds=np.zeros((n_pages, q), np.int16),
        answer_patches=np.zeros((n_pages, q, n), np.bool_),
        label_patches=np.zeros((n_pages, q, n), np.bool_),
        pointers=np.zeros((n_pages, q, MAX_VALUE), np.int32),
        chars=np.zeros((n_pages, n, s), np.int16),
        owners=np.zeros((n_pages, n, s), np.int16),
        places=np.zeros((n_pages, n, s), np.int16),
        cut=np.zeros((n_pages, n, s), np.int16),
    )
