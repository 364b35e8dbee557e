"""Tasks by name: this package's own folder of task files, the caller's, and lmms-eval's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from shirg_bench.results.table import Table, print_table
from shirg_bench.tasks import TASKS_FOLDER
from shirg_core.cli.errors import BadInput

_LOCAL = ("parquet", "json", "csv", "arrow")


class _TaskFile(yaml.SafeLoader):
    """Reads a task file without running what it names."""


_TaskFile.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))  # type: ignore[arg-type]


@dataclass(frozen=True)
class TaskEntry:
    """A task file in short.

    Attributes:
        name: of the task or group.
        metrics: it reports; of a group, its members.
        offline: its data come with this package.
    """

    name: str
    metrics: tuple[str, ...]
    offline: bool


def list_tasks(folder: Path) -> list[TaskEntry]:
    """The task files of a folder, by name. Nothing of lmms-eval is imported.

    Raises:
        ValueError: a file that is no task.
    """
    found = {}
    for path in sorted(folder.rglob("*.yaml")):
        config = _load(path)
        name = config.get("group") if isinstance(config.get("task"), list) else config.get("task")
        if not isinstance(name, str):
            raise ValueError(f"{path} names no task")
        found[name] = (config, tuple(config["task"]) if isinstance(config["task"], list) else _metrics(config))
    local = {name for name, (config, _) in found.items() if config.get("dataset_path") in _LOCAL}
    return [
        TaskEntry(name, shown, name in local or (isinstance(config["task"], list) and local.issuperset(shown)))
        for name, (config, shown) in sorted(found.items())
    ]


def print_tasks() -> None:
    """This package's tasks as a table."""
    rows = [
        (entry.name, ", ".join(entry.metrics), "in the package" if entry.offline else "hub")
        for entry in list_tasks(TASKS_FOLDER)
    ]
    print_table(Table("", ("task", "metrics, or members", "data"), rows), Console(), names=3)


def task_manager(names: Sequence[str], include: Sequence[Path] = (), *, model_name: str) -> tuple[Any, list[str]]:
    """lmms-eval's index of tasks, and the tasks that names and patterns with `*` stand for.

    lmms-eval's own thousands are read only if somebody asks for one of them.

    Raises:
        BadInput: naming the tasks that are nowhere.
    """
    from lmms_eval.tasks import TaskManager  # type: ignore[import-untyped]

    for folder in include:
        if not folder.is_dir():
            raise BadInput(f"--include-path must be a folder of task files, got {folder}")
    folders = [str(folder) for folder in (TASKS_FOLDER, *include)]
    known = TaskManager(include_path=folders, include_defaults=False, model_name=model_name)
    if not all(known.match_tasks([name]) for name in names):
        known = TaskManager(include_path=folders, model_name=model_name)
    if missing := [name for name in names if not known.match_tasks([name])]:
        raise BadInput(
            f"unknown task(s): {', '.join(missing)}; `shirg eval --list` shows this package's, lmms-eval's "
            "own names work, too"
        )
    matched = dict.fromkeys(task for name in names for task in known.match_tasks([name]))
    return known, list(matched)


def _load(path: Path) -> Mapping[str, Any]:
    config = yaml.load(path.read_text(encoding="utf-8"), Loader=_TaskFile)
    included = config.pop("include", None)
    return config if included is None else {**_load(path.parent / included), **config}


def _metrics(config: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(metric["metric"]) for metric in config.get("metric_list", ()))
