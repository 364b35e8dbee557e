"""The lmms-eval model `shirg_lavida`: a LaViDa whose visual tokens are chosen once, before the first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from lmms_eval.api.instance import GenerationResult, Instance  # type: ignore[import-untyped]
from lmms_eval.api.model import lmms  # type: ignore[import-untyped]
from loguru import logger

from shirg_bench.lmms.answerable import check_all
from shirg_bench.lmms.answering import OnNote, OnProgress, open_journal, shown_progress
from shirg_bench.lmms.costs import log_costs
from shirg_bench.lmms.digest import images_digest, run_digest
from shirg_bench.lmms.overrides import check_tasks
from shirg_bench.lmms.questions import Questions
from shirg_bench.lmms.reply import answer
from shirg_bench.lmms.request import EvalRequest, batches, is_padding, read_requests
from shirg_bench.lmms.rounds import first_round, play_rounds
from shirg_bench.lmms.sampling import Sampling, parse_sampling
from shirg_bench.lmms.settings import ModelSettings
from shirg_bench.results.journal import Journal
from shirg_bench.results.provenance import digest
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.vision.feature_cache import FeatureCache
from shirg_train.seeds import derive


class ShirgLavida(lmms):  # type: ignore[misc]
    """See `ModelSettings` for the arguments; the weights are loaded at the first question.

    Args:
        on_progress: called with the requests answered and their number; None shows a bar.
        on_note: told, in a sentence each, what a person should know; None puts it into upstream's log.
        arguments: of `ModelSettings.from_arguments`.

    Raises:
        ValueError, BadInput: an argument that cannot be used.
    """

    is_simple = True

    def __init__(
        self, *, on_progress: OnProgress | None = None, on_note: OnNote | None = None, **arguments: Any
    ) -> None:
        super().__init__()
        self.settings = ModelSettings.from_arguments(arguments)
        self.accelerator = Accelerator()
        self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes
        self._on_progress = on_progress
        self._questions = Questions()
        self._on_note = on_note or logger.warning

    @property
    def device(self) -> torch.device:
        """Where answers are sampled; among several processes, each its own GPU."""
        if self.settings.device is None or (self._world_size > 1 and self.settings.device == "cuda"):
            return torch.device(self.accelerator.device)
        return torch.device(self.settings.device)

    @property
    def batch_size(self) -> int:
        """Questions answered at once."""
        return self.settings.batch_size

    @cached_property
    def pipe(self) -> LavidaPipeline:
        """The loaded model."""
        return replace(self.settings.open(self.device), feature_cache=FeatureCache())

    @cached_property
    def journal(self) -> Journal[list[GenerationResult]]:
        """Answers given so far; damaged lines are said once."""
        return open_journal(self.settings.journal, self.rank, self._on_note)

    @cached_property
    def identity(self) -> str:
        """SHA-256 of everything but the question that determines an answer."""
        return run_digest(self.pipe, self.settings.seed)

    def generate_until(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        """Answer requests of any mix of tasks; results come in the requests' order, and requests stay as they are.

        Raises:
            ValueError: a request that cannot be answered; the message names task and document. What can be known
                of that is known before the first answer.
        """
        asked = read_requests(requests, self.sampling)
        self.check(asked)
        replies: dict[int, GenerationResult] = {}
        with shown_progress(self._on_progress, self.rank) as on_progress:
            for batch in batches(asked, self.batch_size, lambda one: (one.task, one.sampling)):
                replies |= zip((one.number for one in batch), self.answer(batch), strict=True)
                on_progress(len(replies), len(asked))
        log_costs([reply.token_counts for reply in replies.values()], self.device)
        return [replies.get(i, GenerationResult("")) for i in range(len(requests))]

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[list[str]]:
        """Play each request's rounds; one list of answers per request, see `shirg_bench.lmms.rounds`."""
        asking = [request for request in requests if not is_padding(request)]
        self.check([first_round(self, request) for request in asking])
        played = [play_rounds(self, request) for request in asking]
        log_costs([reply.token_counts for _, spent in played for reply in spent], self.device)
        results = iter(answers for answers, _ in played)
        return [[""] if is_padding(request) else next(results) for request in requests]

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Not there; use tasks that generate.

        Raises:
            NotImplementedError: always, and why.
        """
        raise NotImplementedError(
            "shirg_lavida answers generate_until tasks only: lmms-eval 0.7 turns the pairs (log-likelihood, greedy) of "
            "loglikelihood and multiple_choice tasks into text before they are scored, and a masked diffusion model "
            "has no exact likelihood, only a bound"
        )

    def clean(self) -> None:
        """Let go of the model; lmms-eval calls it after the last answer."""
        self.__dict__.pop("pipe", None)
        super().clean()

    def sampling(self, gen_kwargs: Mapping[str, object]) -> Sampling:
        """A request's way of sampling.

        Raises:
            ValueError: see `parse_sampling`.
        """
        config = self.pipe.model.config
        length = Recommended.from_checkpoint(config.raw).max_new_tokens
        # How a model draws decides which of a task's arguments it can follow.
        drawing = {name: value for name, value in config.family.sampling.items() if name == "draw"}
        defaults = {**drawing, **self.settings.sampling}
        return parse_sampling(gen_kwargs, defaults, max_new_tokens=length, cache=self.settings.cache)

    def check_tasks(self, loaded: Mapping[Any, Any], given: str) -> dict[str, list[str]]:
        """See `shirg_bench.lmms.overrides`."""
        return check_tasks(loaded, given, self.settings, self.settings.resolved().max_new_tokens)

    def check(self, asked: Sequence[EvalRequest]) -> None:
        """See `check_all`; says once what of a task's arguments is ignored."""
        check_all(self.pipe, asked, self._questions, self.task_dict, self.settings.resolved().budget)
        for task, why in dict.fromkeys((one.task, why) for one in asked for _, why in one.sampling.ignored):
            self._on_note(f"task {task}: ignored {why}")

    def answer(self, batch: Sequence[EvalRequest]) -> list[GenerationResult]:
        """Answer requests that are sampled alike, from the journal if they were answered before.

        Raises:
            ValueError: naming the documents.
        """
        sampling = batch[0].sampling
        questions = [self._questions.take(one, self.task_dict) for one in batch]
        items = [
            [one.task, one.split, one.doc_id, one.repeat, asked.text, asked.words, images_digest(asked.images)]
            for one, asked in zip(batch, questions, strict=True)
        ]
        how = [sampling.max_new_tokens, sampling.until, sampling.options]
        key = digest([self.identity, how, items])
        if (found := self.journal.find(key)) is not None:
            return found
        try:
            replies = answer(self.pipe, questions, sampling, seed=derive(self.settings.seed, "sampling", digest(items)))
        except ValueError as error:
            raise ValueError(f"{'; '.join(one.where for one in batch)}: {error}") from error
        self.journal.add(key, replies)
        return replies
