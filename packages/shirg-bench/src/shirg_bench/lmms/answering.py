"""What lmms-eval models that answer share: who is told of progress, and the journal of answers."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from lmms_eval.api.instance import GenerationResult  # type: ignore[import-untyped]
from lmms_eval.api.model import lmms  # type: ignore[import-untyped]
from loguru import logger

from shirg_bench.lmms.costs import AnswerCosts
from shirg_bench.lmms.request import batches
from shirg_bench.results.journal import Journal
from shirg_core.progress import progress_bar

OnProgress = Callable[[int, int], None]
OnNote = Callable[[str], None]


class AnsweringModel(lmms):  # type: ignore[misc]
    """An lmms-eval model that answers batches of requests, by `answer`, and keeps the answers in a journal.

    Args:
        settings: `ModelSettings` or `BackendSettings`.
        on_progress: called with the requests answered and their number; None shows a bar.
        on_note: told, in a sentence each, what a person should know; None puts it into upstream's log.
    """

    settings: Any

    def __init__(self, settings: Any, on_progress: OnProgress | None, on_note: OnNote | None) -> None:
        super().__init__()
        self.settings = settings
        self.accelerator = Accelerator()
        self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes
        self._on_progress = on_progress
        self._on_note = on_note or logger.warning

    @property
    def device(self) -> torch.device:
        """Where answers are made; among several processes, each its own GPU."""
        if self.settings.device is None or (self._world_size > 1 and self.settings.device == "cuda"):
            return torch.device(self.accelerator.device)
        return torch.device(self.settings.device)

    @property
    def batch_size(self) -> int:
        """Questions answered at once."""
        return int(self.settings.batch_size)

    @cached_property
    def journal(self) -> Journal[list[GenerationResult]]:
        """Answers given so far; damaged lines are said once."""
        return open_journal(self.settings.journal, self.rank, self._on_note)

    def prepare(self, batch: Sequence[Any]) -> Any:
        """What `answer` needs of a batch and no model computes; in a thread, while the batch before is answered."""
        return batch

    @abstractmethod
    def answer(self, prepared: Any) -> list[GenerationResult]:
        """Replies to requests that may share a batch, from the journal if they were answered before."""

    def answers(self, asked: Sequence[Any], alike: Callable[[Any], Hashable]) -> dict[int, GenerationResult]:
        """Replies by the requests' numbers; requests that are `alike` may share a batch."""
        replies: dict[int, GenerationResult] = {}
        cut = batches(asked, self.batch_size, alike)
        with shown_progress(self._on_progress, self.rank) as on_progress, ThreadPoolExecutor(1) as ahead:
            begun = (ahead.submit(self.prepare, batch) for batch in cut)
            coming = deque(islice(begun, 1))
            for batch in cut:
                prepared = coming.popleft().result()
                coming.extend(islice(begun, 1))
                replies |= zip((one.number for one in batch), self.answer(prepared), strict=True)
                on_progress(len(replies), len(asked))
        return replies


@contextmanager
def shown_progress(on_progress: OnProgress | None, rank: int) -> Iterator[OnProgress]:
    """Who is told: whoever asked to be, or a bar of the main process."""
    if on_progress is not None or rank > 0:
        yield on_progress or (lambda _done, _total: None)
        return
    with progress_bar() as bar:
        task = bar.add_task("answers", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def open_journal(folder: Path | None, rank: int, on_note: OnNote) -> Journal[list[GenerationResult]]:
    """The journal of earlier answers; the main process says how many, and reports damaged lines once."""
    journal = Journal(folder, _replies, rank)
    if (answers := sum(map(len, journal.values()))) and rank == 0:
        on_note(f"resumed: {answers} answers are in the journal")
    if journal.damaged and rank == 0:
        where = "; ".join(journal.damaged)
        on_note(f"{len(journal.damaged)} damaged line(s) of the journal, answered again: {where}")
    return journal


def _replies(value: Any) -> list[GenerationResult]:
    return [GenerationResult(reply["text"], AnswerCosts(**reply["token_counts"])) for reply in value]
