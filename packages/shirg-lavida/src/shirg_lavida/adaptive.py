"""Which budget each row of a batch gets: rows climb the rungs of an `AdaptiveBudget` until the model is sure enough.

The tower has run before; a rung costs a selection, a prefill and one denoising step for the rows that are still there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, Unpack

from PIL import Image
from torch import Tensor

from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.budget import Budget
from shirg_core.clock import Clock, stage
from shirg_lavida.prompt.prefix import Prefix
from shirg_lavida.sampling.answer import Answer
from shirg_lavida.sampling.options import SamplingKeywords

if TYPE_CHECKING:
    from shirg_lavida.pipeline import LavidaPipeline

Embed: TypeAlias = Callable[[Budget, Sequence[int]], Prefix]
"""The prefix of some rows, by number, with their images at a budget."""
Entropy: TypeAlias = Callable[[Prefix, Sequence[int]], Tensor]
"""`[B]` of a prefix of some rows, see `shirg_lavida.sampling.probe`."""


class Rung(NamedTuple):
    """Rows that stay at one budget.

    Attributes:
        budget: theirs.
        rows: their numbers in the batch.
        prefix: theirs, in this order.
        entropies: per row, what was measured at each budget that was tried.
    """

    budget: Budget
    rows: list[int]
    prefix: Prefix
    entropies: list[tuple[float, ...]]


def climb(budget: AdaptiveBudget, rows: int, embed: Embed, entropy: Entropy) -> list[Rung]:
    """Decide row by row; a row without an image stays at the first rung, and nothing is measured for it.

    `entropy` measures the prefixes that `embed` makes, but not those of the highest rung.
    """
    found: list[Rung] = []
    left = list(range(rows))
    measured: list[tuple[float, ...]] = [()] * rows
    for rung in budget.rungs:
        prefix = embed(rung, left)
        staying = list(range(len(left)))
        if rung != budget.high:
            unsure = entropy(prefix, left).tolist()
            seeing = set(prefix.owners)
            for i in seeing:
                measured[left[i]] += (unsure[i],)
            staying = [i for i in staying if i not in seeing or unsure[i] <= budget.threshold]
        if staying:
            kept = [left[i] for i in staying]
            own = prefix if len(kept) == len(left) else prefix.take(staying)
            found.append(Rung(rung, kept, own, [measured[row] for row in kept]))
        left = [row for i, row in enumerate(left) if i not in staying]
        if not left:
            break
    return found


def answer_adaptively(
    pipe: LavidaPipeline,
    budget: AdaptiveBudget,
    questions: Sequence[str],
    images: Sequence[Sequence[Image.Image]],
    *,
    answer_length: int,
    words: Sequence[str] | None = None,
    clock: Clock | None = None,
    **options: Unpack[SamplingKeywords],
) -> list[Answer]:
    """Answer questions, each at its own rung; rows of one rung are sampled as one batch.

    Args:
        pipe: its selector takes a budget.
        budget: rungs and threshold.
        questions: see `LavidaPipeline.embed`.
        images: per question, one at least over all of them.
        answer_length: L.
        words: see `LavidaPipeline.embed`.
        clock: also times the stage `probe`, prefills and steps that chose.
        options: of `SamplingOptions`.

    Raises:
        ValueError: as `LavidaPipeline.embed`, or a selector without a budget.
    """
    with stage(clock, "embed"):
        encoded = pipe.encode([image for shown in images for image in shown], clock=clock)
    first = [sum(map(len, images[:row])) for row in range(len(images))]
    draft = options.get("draft_ids")

    def embed(rung: Budget, rows: Sequence[int]) -> Prefix:
        own = encoded.take([first[row] + i for row in rows for i in range(len(images[row]))])
        said = None if words is None else [words[row] for row in rows]
        with stage(clock, "embed"):
            return pipe.at(rung).embed(
                [questions[row] for row in rows], [images[row] for row in rows], words=said, encoded=own, clock=clock
            )

    def sampling(rows: Sequence[int]) -> SamplingKeywords:
        return options if draft is None or len(draft) == 1 else {**options, "draft_ids": draft[list(rows)]}

    def entropy(prefix: Prefix, rows: Sequence[int]) -> Tensor:
        with stage(clock, "probe"):
            return pipe.model.first_step_entropy(prefix, answer_length=answer_length, **sampling(rows))

    answers: dict[int, Answer] = {}
    for rung in climb(budget, len(images), embed, entropy):
        found = pipe.model.generate(rung.prefix, answer_length=answer_length, clock=clock, **sampling(rung.rows))
        for row, answer, measured in zip(rung.rows, found, rung.entropies, strict=True):
            answers[row] = replace(answer, nfe=answer.nfe + len(measured), probed=measured)
    return [answers[row] for row in range(len(images))]
