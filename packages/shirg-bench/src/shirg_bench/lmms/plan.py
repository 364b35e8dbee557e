"""`shirg eval --dry-run`: what would be evaluated; no data are loaded and no weights."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console

from shirg_bench.lmms.answering import open_journal
from shirg_bench.lmms.backends.settings import BackendSettings
from shirg_bench.lmms.catalogue import task_manager
from shirg_bench.lmms.evaluation import Evaluation
from shirg_bench.lmms.manifest import MODEL_NAME
from shirg_bench.lmms.results import JOURNAL, RESULTS
from shirg_bench.lmms.settings import ModelSettings
from shirg_core.cli.errors import bad_input


def print_plan(evaluation: Evaluation) -> None:
    """Print tasks, how they would be answered, and how far the folder is.

    Raises:
        BadInput: unknown tasks, arguments that cannot be used, or a folder that holds another evaluation.
    """
    evaluation.check()
    _, names = task_manager(evaluation.tasks, evaluation.include, model_name=MODEL_NAME)
    with bad_input(ValueError):
        resolved = (
            (BackendSettings if evaluation.backend else ModelSettings).from_arguments(evaluation.model).resolved()
        )
    folder = evaluation.output / JOURNAL
    # No process has this rank, so that nothing of a running evaluation's file is touched.
    answers = sum(map(len, open_journal(folder, -1, lambda _: None).values())) if folder.is_dir() else 0
    standing = "already finished" if (evaluation.output / RESULTS).is_file() else "would begin anew"
    if answers and standing != "already finished":
        standing = f"would resume: {answers} answers are in the journal"
    used = ", ".join(f"{name} {value}" for name, value in asdict(resolved).items() if value is not None)
    console = Console()
    limit = "all questions" if evaluation.limit is None else f"{evaluation.limit} questions each"
    for title, text in (
        ("tasks", f"{', '.join(names)}: {limit}"),
        ("with", used),
        ("output", f"{evaluation.output}, {standing}"),
    ):
        console.print(f"{title:<8}{text}", markup=False, highlight=False, soft_wrap=True)
