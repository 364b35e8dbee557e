"""What the explorer shows of an image: methods, and what each of them did at each budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shirg_core.layout import ViewLayout
from shirg_core.methods import Method

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Reply:
    """A model's answer.

    Attributes:
        text: the answer.
        confidence: least probability of its tokens.
        mean: their mean probability.
        steps: the text after each denoising step, masks as grey blocks.
        visual_tokens: entries of the prefix that stand for the image.
        right: whether it is the expected answer; None where none was given.
    """

    text: str
    confidence: float
    mean: float
    steps: Sequence[str]
    visual_tokens: int
    right: bool | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """One method at one budget.

    Attributes:
        kept: `[N]`.
        scores: `[N]`; None where nothing was chosen.
        regions: `[N]`, −1 for padding; None where there is one region at most.
        ink_recall: share of the edge mass under kept tokens; None for merged tokens, which show more than their patch.
        reply: the model's; None without a model.
        read: of the page's lines, which ones a reader still reads; None without a reader.
    """

    kept: Bools
    scores: Floats | None = None
    regions: Ints | None = None
    ink_recall: float | None = None
    reply: Reply | None = None
    read: Sequence[bool] | None = None


@dataclass(frozen=True, eq=False)
class MethodRuns:
    """One method.

    Attributes:
        method: of the registry.
        layout: geometry of the N tokens that it chose from.
        runs: one per budget; one alone for a method that takes no budget.
        terms: weight and `[N]` component in [0, 1] of what the score adds up, by name; empty for a method whose score
            is no such sum.
    """

    method: Method
    layout: ViewLayout
    runs: Sequence[Run]
    terms: Mapping[str, tuple[float, Floats]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ExploredImage:
    """One image.

    Attributes:
        name: of its file.
        image: upright RGB.
        methods: in the order of the page.
        model: who answered; None = nobody.
        question: what was asked.
        expected: the right answer, where it is known.
        notes: what to know before believing an answer.
        lines: what a reader reads of the whole page.
    """

    name: str
    image: Image.Image
    methods: Sequence[MethodRuns]
    model: str | None = None
    question: str | None = None
    expected: str | None = None
    notes: Sequence[str] = ()
    lines: Sequence[str] = ()
