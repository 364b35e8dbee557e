"""`shirg eval` as numbered stages: run, record, write, show."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from shirg_bench.lmms.evaluation import Evaluation, is_main_process, run_evaluation
from shirg_bench.lmms.results import RESULTS, print_results, record, write_results
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.in_use import hold
from shirg_core.progress import progress_bar
from shirg_lavida.cli.models import parse_device


def run_session(evaluation: Evaluation, *, command: str, quiet: bool = False) -> None:
    """Evaluate, write the results, print a table; in processes that help the main one, only the first.

    Raises:
        BadInput, LostRankError, RunFailed: see `run_evaluation`, or a folder that cannot be written or is in use.
    """
    # In the processes that help, the main one's lock is theirs.
    with held(evaluation.output) if is_main_process() else nullcontext():
        _run_session(evaluation, command, quiet=quiet)


def held(output: Path) -> AbstractContextManager[None]:
    """Keep other evaluations out of a folder.

    Raises:
        BadInput: another one is going on there, or it cannot be written.
    """
    return hold(output, lambda why: BadInput(f"cannot write to {output}: {why}"))


def _run_session(evaluation: Evaluation, command: str, *, quiet: bool) -> None:
    # Bound to the stream of now: while tasks run, what upstream prints goes elsewhere.
    console = Console(file=sys.stdout)
    finished = (evaluation.output / RESULTS).is_file()
    # 1. Run.
    with progress_bar(console, redirect=False, quiet=quiet) as progress:
        bar = progress.add_task("answers", total=None)
        results = run_evaluation(
            evaluation,
            lambda done, total: progress.update(bar, completed=done, total=total),
            lambda note: progress.console.print(f"note  {note}", markup=False, highlight=False),
        )
    if results is None:
        return
    if finished:
        console.print("note  already finished: scored again, from the answers in the journal", highlight=False)
    # 2. Record.
    seed, device = int(evaluation.model.get("seed", 0)), parse_device(evaluation.model.get("device"))
    content = record(results, settings=asdict(evaluation), command=command, seed=seed, device=device)
    # 3. Write.
    with bad_input(OSError, prefix=f"cannot write to {evaluation.output}: "):
        write_results(evaluation.output, content, results["samples"])
    # 4. Show.
    print_results(console, content, evaluation.output / RESULTS)
