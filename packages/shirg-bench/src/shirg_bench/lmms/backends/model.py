"""The lmms-eval model that answers through another one, whose visual tokens it has chosen before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import cached_property
from types import MethodType
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult, Instance, unwrap_generation_output  # type: ignore[import-untyped]
from lmms_eval.models.model_utils.gen_metrics import reset_logged_metrics  # type: ignore[import-untyped]

from shirg_bench.lmms.answering import AnsweringModel, OnNote, OnProgress
from shirg_bench.lmms.backends.generation import check_followed, check_tasks, overrides
from shirg_bench.lmms.backends.meter import Meter
from shirg_bench.lmms.backends.request import BackendRequest, Documents, count_images, read_requests
from shirg_bench.lmms.backends.settings import BackendSettings
from shirg_bench.lmms.costs import log_costs
from shirg_bench.lmms.digest import backend_digest
from shirg_bench.results.provenance import digest
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.clock import Clock
from shirg_core.hf import pruning
from shirg_core.hf.features import encoder_of
from shirg_core.methods import get_method
from shirg_train.seeds import derive


class PrunedBackend(AnsweringModel):
    """See `BackendSettings` for the arguments; the weights are loaded at the first question.

    Every batch is one call of the other model's `generate_until`, of one task and one way of answering, and while it
    answers its images are pruned. Before and after, it is the model that lmms-eval built.

    What is `followed` are generation arguments that must arrive at the model, see `check_followed`.

    Raises:
        ValueError, BadInput: an argument that cannot be used.
    """

    settings: BackendSettings

    def __init__(
        self,
        *,
        on_progress: OnProgress | None = None,
        on_note: OnNote | None = None,
        followed: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(BackendSettings.from_arguments(arguments), on_progress, on_note)
        self.is_simple = bool(self.settings.model_class.is_simple)
        self._followed = followed or {}
        self._selector = self.settings.selector()

    @cached_property
    def backend(self) -> Any:
        """lmms-eval's model.

        Raises:
            BadInput: it holds no model of transformers with images.
        """
        backend = self.settings.open(self.device)
        held = getattr(backend, "model", None)
        with bad_input(ValueError, prefix=f"backend {self.settings.backend!r} cannot be pruned: "):
            encoder_of(held)
        if not isinstance(getattr(held, "generate", None), MethodType):
            raise BadInput(
                f"backend {self.settings.backend!r} has loaded a {type(held).__name__}, which has no generate"
            )
        return backend

    @cached_property
    def meter(self) -> Meter:
        """Watches the model's calls."""
        return Meter(self.backend.model, self.device)

    @cached_property
    def identity(self) -> str:
        """SHA-256 of everything but the question that determines an answer."""
        used = {name: value for name, value in asdict(self.settings).items() if name not in ("journal", "pretrained")}
        return backend_digest(self.backend.model, self.settings.pretrained, {**used, "selector": repr(self._selector)})

    def check_tasks(self, loaded: Mapping[Any, Any], given: str) -> dict[str, list[str]]:
        """See `shirg_bench.lmms.backends.generation`; says once what of a task's arguments is ignored."""
        found = check_tasks(loaded, overrides(given))
        for task, why in found.items():
            self._on_note(f"task {task}: ignored {'; '.join(why)}")
        return found

    def generate_until(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        """Answer requests of any mix of tasks; results come in the requests' order, and requests stay as they are.

        Raises:
            ValueError, RuntimeError: a request that cannot be answered; the message names task and document.
        """
        asked = read_requests(requests, chat=not self.is_simple)
        replies = self.answers(asked, _alike)
        # Upstream's models log every call by themselves.
        reset_logged_metrics()
        log_costs([reply.token_counts for reply in replies.values()], self.device)
        return [replies.get(i, GenerationResult("")) for i in range(len(requests))]

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[list[str]]:
        """Not there.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("a --backend answers generate_until tasks only, not those of several rounds")

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Not there.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("a --backend answers generate_until tasks only, not loglikelihood ones")

    def clean(self) -> None:
        """Let go of the model; lmms-eval calls it after the last answer."""
        self.__dict__.pop("meter", None)
        self.__dict__.pop("backend", None)
        super().clean()

    def answer(self, batch: Sequence[BackendRequest]) -> list[GenerationResult]:
        """Answer requests of one task and one way of answering, from the journal if they were answered before.

        Raises:
            ValueError, RuntimeError: naming the documents.
        """
        shown = [one.shown(self.task_dict) for one in batch]
        words = [one.words(count_images(parts)) for one, parts in zip(batch, shown, strict=True)]
        items = [
            [one.task, one.split, one.doc_id, one.repeat, one.context, said, parts]
            for one, said, parts in zip(batch, words, shown, strict=True)
        ]
        key = digest([self.identity, batch[0].gen_kwargs, items])
        if (found := self.journal.find(key)) is not None:
            return found
        torch.manual_seed(derive(self.settings.seed, "sampling", digest(items)))
        asked = {one.doc_id: self._ids(said) for one, said in zip(batch, words, strict=True)}
        where = "; ".join(one.where for one in batch)
        try:
            replies = self._ask(batch, asked, images=any(map(count_images, shown)))
        except (ValueError, RuntimeError) as error:
            kind = ValueError if isinstance(error, ValueError) else RuntimeError
            raise kind(f"{where}: {error}") from error
        self.journal.add(key, replies)
        return replies

    def _ask(
        self, batch: Sequence[BackendRequest], asked: Mapping[int, list[int]], *, images: bool
    ) -> list[GenerationResult]:
        documents = Documents(self.task_dict[batch[0].task][batch[0].split])
        backend, meter, clock = self.backend, self.meter, Clock(self.device)
        backend.task_dict = {batch[0].task: {batch[0].split: documents}}

        def question() -> list[list[int]]:
            """Those of the prompts that `generate` is called with now."""
            before, now = sum(len(call.input_ids) for call in meter.calls[:-1]), len(meter.calls[-1].input_ids)
            return [asked[doc_id] for doc_id in list(documents.order)[before : before + now]]

        with ExitStack() as stack:
            if self._selector is not None:
                how: dict[str, Any] = {
                    "positions": self.settings.positions,
                    "question": question,
                    "tower_attention": get_method(self.settings.method).tower_attention,
                    "on_pruned": meter.on_pruned,
                }
                stack.enter_context(pruning(backend.model, self._selector, **how))
            stack.enter_context(meter.watching())
            given = backend.generate_until([one.instance for one in batch])
        latency_ms = clock.lap()
        # Some of upstream's models answer with nothing where `generate` raises.
        if meter.failure is not None:
            raise meter.failure
        self._check(batch, documents, images=images)
        order = dict(zip(documents.order, meter.costs(), strict=True))
        return [
            GenerationResult(
                unwrap_generation_output(reply)[0],
                replace(order[one.doc_id], latency_ms=round(latency_ms, 3), batch_size=len(batch)),
            )
            for one, reply in zip(batch, given, strict=True)
        ]

    def _check(self, batch: Sequence[BackendRequest], documents: Documents, *, images: bool) -> None:
        """Whether what was asked for was done."""
        name, calls = self.settings.backend, self.meter.calls
        prompts = sum(len(call.input_ids) for call in calls)
        if prompts != len(batch) or documents.order.keys() != {one.doc_id for one in batch}:
            raise RuntimeError(f"backend {name!r} gave `generate` {prompts} prompts for {len(batch)} questions")
        for call in calls:
            check_followed(self._followed, call.given, name)
        if images and self._selector is not None and not all(call.pruned for call in calls):
            raise RuntimeError(f"backend {name!r} gave `generate` no pixels, so no image was pruned")

    def _ids(self, words: str) -> list[int]:
        ids: list[int] = self.backend.tokenizer(words, add_special_tokens=False)["input_ids"]
        return ids


def _alike(one: BackendRequest) -> tuple[object, ...]:
    """Questions with the same of this may share a batch; a document is asked once in each."""
    return one.task, one.split, one.repeat, digest(one.gen_kwargs)
