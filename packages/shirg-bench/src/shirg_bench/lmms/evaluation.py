"""One evaluation: tasks through lmms-eval, with answers journalled and everything upstream says kept in a file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shirg_bench.lmms.answering import OnNote, OnProgress
from shirg_bench.lmms.backends import generation
from shirg_bench.lmms.backends.model import PrunedBackend
from shirg_bench.lmms.backends.settings import BackendSettings
from shirg_bench.lmms.catalogue import task_manager
from shirg_bench.lmms.failures import one_line, tried_once
from shirg_bench.lmms.imports import refused
from shirg_bench.lmms.manifest import MODEL_NAME
from shirg_bench.lmms.model import ShirgLavida
from shirg_bench.lmms.overrides import overrides
from shirg_bench.lmms.quiet import talk_into
from shirg_bench.lmms.results import JOURNAL, check_folder, write_settings
from shirg_bench.lmms.settings import ModelSettings
from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.cli.errors import BadInput, RunFailed, bad_input

LOG = "lmms_eval.log"
UNNEEDED = ("lmms_eval.tasks.amber_g.utils", "lmms_eval.tasks.coco_cap_chair.utils")
"""Every metric's standard error tries to import these, and nltk, scipy and scikit-learn with them. It compares the
metric with their functions, which no task's are, not even their own: a task file's modules are read anew."""


@dataclass(frozen=True)
class Evaluation:
    """What to evaluate.

    Args:
        tasks: names, or patterns with `*`.
        output: folder of results, journal and upstream's log.
        model: arguments of `ModelSettings`, or of `BackendSettings` where it holds a `backend`, without `journal`.
        limit: questions per task; None = all.
        gen_kwargs: `name=value,…`, over what task files say; a temperature sets `do_sample`, too.
        include: further folders of task files.

    Raises:
        BadInput: no task, a limit below 1, or generation arguments that are unknown.
    """

    tasks: tuple[str, ...]
    output: Path
    model: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    gen_kwargs: str = ""
    include: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not self.tasks:
            raise BadInput("--tasks names no task")
        if self.limit is not None and self.limit < 1:
            raise BadInput(f"--limit must be at least 1, got {self.limit}")
        self.overrides()

    @property
    def backend(self) -> bool:
        """Whether one of lmms-eval's own models answers."""
        return self.model.get("backend") is not None

    def overrides(self) -> str:
        """`gen_kwargs` as lmms-eval should read it.

        Raises:
            BadInput: arguments that no task could make usable.
        """
        if not self.backend:
            return overrides(self.gen_kwargs)
        generation.overrides(self.gen_kwargs)
        return self.gen_kwargs.replace(" ", "")

    def check(self) -> None:
        """Refuse model arguments that cannot be used, and a folder of another evaluation; no weights are read.

        Raises:
            BadInput: see `ModelSettings` and `check_folder`.
        """
        check_folder(self.output, asdict(self))
        with bad_input(ValueError):
            (BackendSettings if self.backend else ModelSettings).from_arguments(self.model).resolved()


def is_main_process() -> bool:
    """Whether this process writes and talks."""
    return os.environ.get("RANK", "0") == "0"


def run_evaluation(
    evaluation: Evaluation, on_progress: OnProgress | None = None, on_note: OnNote | None = None
) -> dict[str, Any] | None:
    """Evaluate; a killed run resumes from its journal.

    Returns:
        lmms-eval's results, samples included, under `resolved` a `Resolved`'s fields, and under `ignored` what
        `check_tasks` returns; None in the processes that help the main one.

    Raises:
        BadInput: tasks or arguments that cannot be used, or a folder that holds another evaluation.
        LostRankError: another of the processes is gone.
        RunFailed: data that cannot be loaded, or whatever else stopped the run; upstream's log has the traceback.
    """
    check_folder(evaluation.output, asdict(evaluation))
    rank = os.environ.get("RANK", "0")
    log = evaluation.output / (LOG if is_main_process() else f"rank{rank}_{LOG}")
    with bad_input(OSError, prefix=f"cannot write to {evaluation.output}: "):
        evaluation.output.mkdir(parents=True, exist_ok=True)
        log.open("a", encoding="utf-8").close()
    told: dict[str, Any] = {
        "journal": evaluation.output / JOURNAL,
        "on_progress": on_progress or _ignore,
        "on_note": on_note if is_main_process() else _ignore,
    }
    with talk_into(log):
        with one_line("the model cannot be set up"), bad_input(ValueError):
            model = _model(evaluation, **told)
        resolved = model.settings.resolved()
        manager, names = task_manager(evaluation.tasks, evaluation.include, model_name=MODEL_NAME)
        loaded = {name: _load(manager, name, chat=not model.is_simple) for name in names}
        members = {key: value for found in loaded.values() for key, value in found.items()}
        ignored = model.check_tasks(members, evaluation.overrides())
        tasks = [_task(found, name) for name, found in loaded.items()]
        if is_main_process():
            write_settings(evaluation.output, asdict(evaluation))
        with one_line("the evaluation failed"), refused(*UNNEEDED):
            results: dict[str, Any] | None = _simple_evaluate(evaluation, model, manager, tasks)
    if results is None:
        return None
    used = asdict(resolved)
    if isinstance(resolved.budget, AdaptiveBudget):
        used["budget"] = str(resolved.budget)
    return {**_complete(results), "resolved": used, "ignored": ignored}


def _model(evaluation: Evaluation, **told: Any) -> ShirgLavida | PrunedBackend:
    if evaluation.backend:
        return PrunedBackend(**evaluation.model, **told, followed=generation.overrides(evaluation.gen_kwargs))
    return ShirgLavida(**evaluation.model, **told)


def _simple_evaluate(
    evaluation: Evaluation, model: ShirgLavida | PrunedBackend, manager: Any, tasks: Sequence[Any]
) -> Any:
    from lmms_eval.evaluator import simple_evaluate  # type: ignore[import-untyped]

    seed = model.settings.seed
    return simple_evaluate(
        model=model,
        tasks=list(tasks),
        batch_size=model.batch_size,
        limit=evaluation.limit,
        gen_kwargs=evaluation.overrides() or None,
        task_manager=manager,
        log_samples=True,
        random_seed=seed,
        numpy_random_seed=seed % 2**32,
        torch_random_seed=seed,
        fewshot_random_seed=seed,
        # Tasks that write files of their own look up the folder here.
        cli_args=argparse.Namespace(output_path=str(evaluation.output), process_with_media=False),
        process_docs_parallel=1,
    )


def _load(manager: Any, name: str, *, chat: bool) -> dict[Any, Any]:
    """A task with its data by its name, or the members of a group or tag."""
    from lmms_eval.api.task import ConfigurableTask  # type: ignore[import-untyped]
    from lmms_eval.tasks import get_task_dict  # type: ignore[import-untyped]

    with one_line(f"the data of task {name!r} cannot be loaded"), tried_once(ConfigurableTask.download):
        loaded: dict[Any, Any] = get_task_dict([name], manager, "chat" if chat else "simple")
    return loaded


def _task(loaded: Mapping[Any, Any], name: str) -> Any:
    """What upstream takes: a task; of a group or tag, whose members were loaded to see that they can be, the name."""
    from lmms_eval.api.task import Task

    task = loaded.get(name)
    return task if isinstance(task, Task) else name


def _complete(results: dict[str, Any]) -> dict[str, Any]:
    """Upstream may end well without having scored anything."""
    for task in results["configs"]:
        metrics = [name for name in results["results"][task] if "," in name and "_stderr" not in name]
        if not metrics or not results["samples"].get(task):
            raise RunFailed(f"task {task!r} was not scored: {len(metrics)} metrics, no samples")
    return results


def _ignore(*_: object) -> None:
    """No-op progress callback."""
