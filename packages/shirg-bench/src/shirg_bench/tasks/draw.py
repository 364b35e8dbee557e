"""Drawing one page of a task with its question; a page depends on the task's spec, its cell and its seed alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shirg_bench.tasks.needle import draw_needle
from shirg_bench.tasks.receipt import draw_receipt
from shirg_bench.tasks.spec import Scale, TaskSpec
from shirg_train.testbed.pages.config import FACT_KINDS, KINDS, TIERS, PageConfig
from shirg_train.testbed.pages.fonts import FACE_NAMES, TINY
from shirg_train.testbed.pages.generator import RowGenerator
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tint import tint
from shirg_train.testbed.pages.tokens import TEMPLATES

_DRAW = {"receipt": draw_receipt, "needle": draw_needle}


@dataclass(frozen=True, eq=False)
class Page:
    """A page and its question.

    Attributes:
        image: `[size, size]` or `[size, size, 3]` uint8.
        kind: what the answer stands in.
        face: name of the answer's face.
        question: in the wording that the embedded model was trained on.
        answer: as printed.
    """

    image: NDArray[np.uint8]
    kind: str
    face: str
    question: str
    answer: str


def draw(spec: TaskSpec, tier: str, print_size: str, kind: str, seed: int) -> Page:
    """Draw a page whose main part is of `kind`; where nothing on it fits, something else is asked."""
    scale = spec.scale
    if kind in _DRAW:
        generator = RowGenerator([seed])
        faces = scale.prints[print_size]
        face = faces[int(generator.integers(1, 0, len(faces))[0, 0])]
        grey, label, answer = _DRAW[kind](generator, scale.size, TIERS[tier], face)
        return Page(_tinted(grey, generator, scale), kind, face, TEMPLATES[0].format(label), answer)
    batch = draw_pages(_config(scale, spec.kinds, tier, print_size, kind), [seed])
    stands = [(KINDS[k], FACE_NAMES[f]) for k, f in zip(batch.question_kinds[0], batch.question_faces[0], strict=True)]
    asked = next((q for q, (k, face) in enumerate(stands) if k == kind and face in scale.prints[print_size]), 0)
    question = TEMPLATES[0].format(batch.label(0, asked))
    return Page(batch.images[0], *stands[asked], question, batch.answer(0, asked))


def _config(scale: Scale, kinds: tuple[str, ...], tier: str, print_size: str, kind: str) -> PageConfig:
    weights = TIERS[tier].kinds
    # Not beside the main part: a line chart in a small block may have a single point, which is no line.
    allowed = {*kinds, *KINDS[FACT_KINDS:]} - {"line"}
    beside = tuple(w if k in allowed else 0.0 for k, w in zip(KINDS, weights, strict=True))
    return PageConfig(
        size=scale.size,
        patch=scale.patch,
        channels=scale.channels,
        tier=replace(TIERS[tier], kinds=beside),
        facts=scale.facts,
        questions=scale.choice,
        faces=tuple(dict.fromkeys((TINY, *scale.prints[print_size]))),
        kinds=tuple(float(k == kind) for k in KINDS[:FACT_KINDS]),
    )


def _tinted(grey: NDArray[np.uint8], generator: RowGenerator, scale: Scale) -> NDArray[np.uint8]:
    if scale.channels == 1:
        return grey
    out = np.empty((1, *grey.shape, 3), np.uint8)
    tint(grey[None], generator, out)
    return np.asarray(out[0])
