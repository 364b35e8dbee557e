"""Which program a recipe is for: its key `kind`. Cheap to import."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shirg_core.methods import get_method
from shirg_lavida.checkpoint.embedded import named
from shirg_lavida.checkpoint.locate import check_adapter, folder_here
from shirg_train.recipe import RecipeError


def check_recipe(raw: Mapping[str, Any]) -> None:
    """Refuse an unknown kind or method, and a model, data or an adapter that are not there, before torch is imported.

    What is wrong with it otherwise is found when it is run.

    Raises:
        RecipeError: naming the kind, the method or the path.
    """
    if _kind(raw) == "micro":
        for number, stage in enumerate(_list(raw, "stages")):
            _check_methods(_list(stage, "policies"), f"stages[{number}].policies")
        return
    _check_methods(_list(raw, "keep"), "keep")
    model, data, init = (_text(raw, key) for key in ("model.path", "data.path", "init"))
    with _refused():
        if data is not None and not Path(data).exists():
            raise FileNotFoundError(f"no data at {data}")
        if model is not None:
            folder_here(named(model), Path())
    # A run that is resumed does not begin with it again.
    if init is not None and not Path(_text(raw, "output") or "", "checkpoints").is_dir():
        with _refused("init: "):
            check_adapter(Path(init))


def run_recipe(raw: Mapping[str, Any], *, quiet: bool = False) -> Path:
    """Do what a recipe says; the folder of the result.

    Raises:
        RecipeError: the recipe, or something it names, cannot be used.
        CheckpointError: a checkpoint cannot be written or read.
    """
    return KINDS[_kind(raw)](raw, quiet)


def _kind(raw: Mapping[str, Any]) -> str:
    kind = raw.get("kind", "adapter")
    if not isinstance(kind, str) or kind not in KINDS:
        raise RecipeError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    return kind


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    """The text at a dotted key; None where there is none, or something else."""
    value: Any = raw
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None


def _list(raw: Any, key: str) -> list[Any]:
    """The list at a key; an empty one where there is none, or something else."""
    value = raw.get(key) if isinstance(raw, Mapping) else None
    return value if isinstance(value, list) else []


def _check_methods(policies: list[Any], path: str) -> None:
    """Refuse unknown methods in a recipe's list of policies, see `shirg_train.keep_ratio.PolicyConfig`."""
    for number, policy in enumerate(policies):
        name = policy.get("method") if isinstance(policy, Mapping) else policy
        if isinstance(name, str):
            with _refused(f"{path}[{number}]: "):
                get_method(name)


@contextmanager
def _refused(prefix: str = "") -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise RecipeError(f"{prefix}{error}") from error


def _adapter(raw: Mapping[str, Any], quiet: bool) -> Path:
    from shirg_train.trainer.task import train_adapter

    return train_adapter(raw, quiet=quiet)


def micro_parts(raw: Mapping[str, Any]) -> tuple[dict[str, Any], Path]:
    """What a recipe of kind `micro` says of the run, and its output folder.

    Raises:
        RecipeError: it sets no output.
    """
    if not isinstance(raw.get("output"), str):
        raise RecipeError("the recipe must set output")
    return {key: value for key, value in raw.items() if key not in ("kind", "output")}, Path(raw["output"])


def _micro(raw: Mapping[str, Any], quiet: bool) -> Path:
    from shirg_core.progress import progress_bar
    from shirg_train.testbed.micro.loop import train_micro

    rest, output = micro_parts(raw)
    with progress_bar(transient=False, quiet=quiet) as bar:
        task = bar.add_task("", total=None)

        steps = 0

        def report(stage: str, done: int, total: int, loss: float) -> None:
            nonlocal steps
            if not steps and done > 1:
                bar.console.print(f"resumed at step {done - 1} of {total}")
            steps += 1
            bar.update(task, completed=done, total=total, description=f"{stage}  loss {loss:.4f}")

        finished = train_micro(rest, output, report=report)
        if not steps:
            bar.console.print("already finished: all steps are done")
        return finished


KINDS: Mapping[str, Callable[[Mapping[str, Any], bool], Path]] = {"adapter": _adapter, "micro": _micro}
