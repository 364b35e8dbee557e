"""What lmms-eval models that answer share: who is told of progress, and the journal of answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import GenerationResult  # type: ignore[import-untyped]

from shirg_bench.lmms.costs import AnswerCosts
from shirg_bench.results.journal import Journal
from shirg_core.progress import progress_bar

OnProgress = Callable[[int, int], None]
OnNote = Callable[[str], None]


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
