"""The lmms-eval model `shirg_lavida`: a LaViDa whose visual tokens are chosen once, before the first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

from lmms_eval.api.instance import GenerationResult, Instance  # type: ignore[import-untyped]

from shirg_bench.lmms.answerable import check_all
from shirg_bench.lmms.answering import AnsweringModel, OnNote, OnProgress
from shirg_bench.lmms.costs import log_costs
from shirg_bench.lmms.digest import images_digest, run_digest
from shirg_bench.lmms.overrides import check_tasks
from shirg_bench.lmms.questions import Questions
from shirg_bench.lmms.reply import Question, answer
from shirg_bench.lmms.request import EvalRequest, is_padding, read_requests
from shirg_bench.lmms.rounds import first_round, play_rounds
from shirg_bench.lmms.sampling import Sampling, parse_sampling
from shirg_bench.lmms.settings import ModelSettings
from shirg_bench.results.provenance import digest
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.vision.feature_cache import FeatureCache
from shirg_train.seeds import derive


class Prepared(NamedTuple):
    """A batch before its answer: requests, their questions, and what identifies them."""

    batch: Sequence[EvalRequest]
    questions: Sequence[Question]
    items: Sequence[Sequence[object]]


class ShirgLavida(AnsweringModel):
    """See `ModelSettings` for the arguments; the weights are loaded at the first question.

    Raises:
        ValueError, BadInput: an argument that cannot be used.
    """

    is_simple = True
    settings: ModelSettings

    def __init__(
        self, *, on_progress: OnProgress | None = None, on_note: OnNote | None = None, **arguments: Any
    ) -> None:
        super().__init__(ModelSettings.from_arguments(arguments), on_progress, on_note)
        self._questions = Questions()

    @cached_property
    def pipe(self) -> LavidaPipeline:
        """The loaded model."""
        return replace(self.settings.open(self.device), feature_cache=FeatureCache())

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
        replies = self.answers(asked, lambda one: (one.task, one.sampling))
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

    def prepare(self, batch: Sequence[EvalRequest]) -> Prepared:
        """Requests that are sampled alike with their images, decoded and digested."""
        questions = [self._questions.take(one, self.task_dict) for one in batch]
        items = [
            [one.task, one.split, one.doc_id, one.repeat, asked.text, asked.words, images_digest(asked.images)]
            for one, asked in zip(batch, questions, strict=True)
        ]
        return Prepared(batch, questions, items)

    def answer(self, prepared: Prepared) -> list[GenerationResult]:
        """Answer requests that are sampled alike, from the journal if they were answered before.

        Raises:
            ValueError: naming the documents.
        """
        batch, questions, items = prepared
        sampling = batch[0].sampling
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
