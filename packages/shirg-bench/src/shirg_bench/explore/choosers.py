"""Where choices come from: the pixels of patches, as in `shirg select`, or a model that is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from PIL import Image
from torch import Tensor

from shirg_bench.explore.explored import Reply
from shirg_bench.explore.record import Seen, recording
from shirg_bench.tasks.metrics import exact_match
from shirg_core.budget import Budget
from shirg_core.cli.errors import bad_input
from shirg_core.cli.material import Material
from shirg_core.cli.methods import build_selector
from shirg_core.layout import ViewLayout
from shirg_core.methods import Method
from shirg_lavida.cli.notes import embedded_notes
from shirg_lavida.cli.stream import partial_text
from shirg_lavida.methods import with_method
from shirg_lavida.pipeline import LavidaPipeline


class Choice(NamedTuple):
    """What a method did at a budget.

    Attributes:
        layout: geometry of the tokens that were chosen from.
        seen: the selector's call, with the last selection where a method chooses again while decoding; None = every
            token of the layout is read.
        reply: the model's.
    """

    layout: ViewLayout
    seen: Seen | None = None
    reply: Reply | None = None


class Chooser(Protocol):
    """Chooses tokens of one image."""

    def choose(self, method: Method, budget: Budget) -> Choice:
        """Choose.

        Raises:
            BadInput: what the method or its selector refuses.
        """


@dataclass(frozen=True, eq=False)
class ByPixels:
    """Without a model; v2 runs with text weight 0."""

    material: Material
    seed: int

    def choose(self, method: Method, budget: Budget) -> Choice:
        """See `Chooser`."""
        selector = build_selector(method.name, budget, method.accepted(text_weight=0.0, seed=self.seed))
        calls: list[Seen] = []
        self.material.select(recording(selector, calls.append), on_pixels=method.on_pixels)
        return Choice(self.material.layout, calls[0])


@dataclass(frozen=True, eq=False)
class ByModel:
    """A model that answers a question about the image.

    Args:
        pipe: the model.
        image: upright RGB.
        question: about it.
        expected: the right answer, where it is known.
        views: the user's, or None.
        seed: of randomised methods.
        max_new_tokens: length of the answer.
        embedded: whether the model is an embedded one, whose limits are known.
    """

    pipe: LavidaPipeline
    image: Image.Image
    question: str
    expected: str | None
    views: str | None
    seed: int
    max_new_tokens: int
    embedded: bool

    def choose(self, method: Method, budget: Budget) -> Choice:
        """See `Chooser`."""
        calls: list[Seen] = []
        steps: list[str] = []

        def on_step(step: int, ids: Tensor) -> None:  # noqa: ARG001 (the sampler's signature)
            steps.append(partial_text(self.pipe, ids[0]))

        with bad_input(ValueError, prefix=f"{method.name}: "):
            pipe = with_method(self.pipe, method.name, budget, self.views, self.seed)
            if pipe.selector is not None:
                pipe = replace(pipe, selector=recording(pipe.selector, calls.append))
            answer = pipe(self.image, self.question, max_new_tokens=self.max_new_tokens, on_step=on_step)
        seen = calls[0] if calls else None
        if seen is not None and pipe.pruning is not None and (final := answer.selection) is not None:
            # What chooses again while decoding has the last word.
            seen = seen._replace(selection=final)
        right = None if self.expected is None else exact_match(answer.text, self.expected) == 1
        sure = answer.confidence
        reply = Reply(answer.text, sure.min, sure.mean, tuple(steps), answer.visual_tokens, right)
        return Choice(answer.layouts[0], seen, reply)

    def notes(self) -> Sequence[str]:
        """What lies outside an embedded model's world, when it reads every token."""
        if not self.embedded:
            return ()
        with bad_input(ValueError):
            pipe = with_method(self.pipe, "full", None, self.views, self.seed)
            answer = pipe(self.image, self.question, max_new_tokens=self.max_new_tokens)
        return embedded_notes(self.pipe, self.image, self.question, answer)
