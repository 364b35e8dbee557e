"""Which program a recipe is for: its key `kind`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from shirg_train.recipe import RecipeError, read_yaml


def run_recipe(path: Path, changes: Sequence[str] = ()) -> Path:
    """Do what a recipe says; the folder of the result.

    Args:
        path: a YAML file.
        changes: `a.b=value` each.

    Raises:
        RecipeError: the recipe, or something it names, cannot be used.
        CheckpointError: a checkpoint cannot be written or read.
    """
    raw = read_yaml(path, changes)
    kind = raw.get("kind", "adapter")
    if not isinstance(kind, str) or kind not in KINDS:
        raise RecipeError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    return KINDS[kind](raw)


def _adapter(raw: Mapping[str, Any]) -> Path:
    from shirg_train.trainer.task import train_adapter

    return train_adapter(raw)


def _micro(raw: Mapping[str, Any]) -> Path:
    from shirg_core.progress import progress_bar
    from shirg_train.testbed.micro.loop import train_micro

    rest = {key: value for key, value in raw.items() if key not in ("kind", "output")}
    if not isinstance(raw.get("output"), str):
        raise RecipeError("the recipe must set output")
    with progress_bar(transient=False) as bar:
        task = bar.add_task("", total=None)

        def watch(stage: str, done: int, total: int, loss: float) -> None:
            bar.update(task, completed=done, total=total, description=f"{stage}  loss {loss:.4f}")

        return train_micro(rest, Path(raw["output"]), watch=watch)


KINDS: Mapping[str, Callable[[Mapping[str, Any]], Path]] = {"adapter": _adapter, "micro": _micro}
