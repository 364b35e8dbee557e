"""A model ready to answer by the methods that a request names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.budget import Budget
from shirg_core.cli.batch import Item
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.methods import parse_any_budget
from shirg_core.cli.source import Source, file_digest
from shirg_core.methods import get_method
from shirg_lavida.checkpoint.fingerprint import weights_digest
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.cli.models import load_pipeline
from shirg_lavida.cli.report import Outcome, request_json
from shirg_lavida.cli.request import Request
from shirg_lavida.cli.sampling import NAMES
from shirg_lavida.methods import with_method
from shirg_lavida.pipeline import LavidaPipeline

OF_AN_IMAGE = ("image", "image_sha256", "page", "pages", "question", "versions")
"""Settings that answers of one run may differ in, or that decide nothing."""


@dataclass(frozen=True)
class Session:
    """The model, and how it is asked.

    Attributes:
        pipe: the model as it was loaded.
        pipes: per method.
        method: the one that was asked for.
        budget: the user's, or the model's own.
        length: of answers.
        seed: of what is random; None = nothing is.
        compare: whether methods are held beside one another.
        sampling: options of the sampler that the user gave.
    """

    pipe: LavidaPipeline
    pipes: Mapping[str, LavidaPipeline]
    method: str
    budget: Budget | AdaptiveBudget
    length: int
    seed: int | None
    compare: bool
    sampling: Mapping[str, Any]

    @property
    def names(self) -> list[str]:
        """Of the methods, in the order of their answers."""
        return list(self.pipes)

    @property
    def main(self) -> LavidaPipeline:
        """By the method that was asked for."""
        return self.pipes[self.method]

    @cached_property
    def weights(self) -> str:
        """Digest of the weights, a merged adapter included."""
        return weights_digest(self.pipe.model)

    def answer(
        self, image: Image.Image, question: str, on_step: Callable[[int, Tensor], None] | None = None
    ) -> list[Outcome]:
        """One answer by each method.

        Raises:
            BadInput: what the pipeline refuses.
        """
        outcomes = []
        with bad_input(ValueError, options=NAMES):
            if self.compare:
                # The first call pays for lazy set-up, and no method of the table shall.
                self.pipes["pooling"](image, question, max_new_tokens=1)
            for name, pipe in self.pipes.items():
                sampling = dict(self.sampling)
                if self.seed is not None:
                    sampling["generator"] = torch.Generator(pipe.device).manual_seed(self.seed)
                answer = pipe(image, question, max_new_tokens=self.length, timings=True, on_step=on_step, **sampling)
                outcomes.append(Outcome(name, pipe.views, self.budget, answer))
        return outcomes

    def settings(self, request: Request, source: Source) -> dict[str, Any]:
        """See `request_json`."""
        return request_json(
            request, self.pipe, source, weights=self.weights, seed=self.seed, max_new_tokens=self.length
        )

    def answered(self, request: Request, found: Iterable[Mapping[str, Any]], items: Sequence[Item]) -> list[Item]:
        """Those of `items` whose answers a file holds already.

        Args:
            request: what was asked.
            found: the file's documents.
            items: to be answered.

        Raises:
            BadInput: answers of other settings, which are named, or about an image that has changed since.
        """
        blank = Source(Image.new("RGB", (1, 1)), "", 1)
        now = {name: value for name, value in self.settings(request, blank).items() if name not in OF_AN_IMAGE}
        asked = str(self.budget) if isinstance(self.budget, AdaptiveBudget) else self.budget
        now |= {"method": self.method, "views": self.main.views}
        now |= {"budget_asked": asked if get_method(self.method).takes_budget else None, "compare": self.compare}
        if request.seed is None:
            # Drawn anew, and recorded with each answer.
            now.pop("seed")
        places = {(str(item.path), item.page, item.question): item for item in items}
        digest = cache(file_digest)
        done: list[Item] = []
        for row in found:
            then = {**row, "compare": "compare" in row}
            if differing := [f"{key} {then.get(key)!r}, now {now[key]!r}" for key in now if then.get(key) != now[key]]:
                raise BadInput(f"{request.json} holds answers with {'; '.join(differing)}: choose another file")
            item = places.get((row["image"], row["page"], row["question"]))
            if item is None:
                continue
            if digest(item.path) != row["image_sha256"]:
                raise BadInput(f"{item.path} has changed since {request.json} was written: choose another file")
            done.append(item)
        return done


def open_session(request: Request) -> Session:
    """Load the model, and set it up for the methods of the request.

    Raises:
        BadInput: whatever of the request cannot be used.
    """
    asked = None if request.method is None else get_method(request.method).name
    budget = None if request.budget is None else parse_any_budget(request.budget)
    seed = request.chosen_seed()
    pipe = load_pipeline(
        request.model, request.adapter, request.device, request.dtype, request.positions, request.vision_tower
    )
    recommended = Recommended.from_checkpoint(pipe.model.config.raw)
    with bad_input(ValueError):
        own = get_method(recommended.method).name
    method = asked or own
    choosing = own if request.compare and method in ("pooling", "full") else method
    if budget is not None and not get_method(choosing).takes_budget:
        raise BadInput(f"{choosing} takes no budget: drop --budget, got {request.budget}")
    budget = recommended.budget if budget is None else budget
    names = ["pooling", "full", choosing] if request.compare else [method]
    with bad_input(ValueError, options=NAMES):
        told = {choosing: request.later}
        pipes = {name: with_method(pipe, name, budget, request.views, seed, later=told.get(name)) for name in names}
    length = recommended.max_new_tokens if request.max_new_tokens is None else request.max_new_tokens
    return Session(pipe, pipes, method, budget, length, seed, request.compare, request.sampling)
