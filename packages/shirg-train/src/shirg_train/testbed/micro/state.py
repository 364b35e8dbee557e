"""Training state in one file that is always whole: written beside, flushed, then moved over the old one."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from shirg_core.files import atomic_path
from shirg_lavida.checkpoint.embedded import named
from shirg_lavida.checkpoint.load import load_lavida
from shirg_train.recipe import RecipeError, build, changed_keys
from shirg_train.testbed.micro.config import MicroConfig

STATE_FILE, STAGES = "state.pt", "stages"
FREE = ("save_every", "log_every")
"""Keys of a recipe that may change in the middle of a run: they decide nothing that is learnt."""


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        stage: index of the current stage.
        step: steps done in it.
        total: steps done over all stages.
    """

    stage: int = 0
    step: int = 0
    total: int = 0


def save_state(
    folder: Path,
    progress: Progress,
    parts: Mapping[str, nn.Module],
    optimizers: tuple[torch.optim.Optimizer, ...],
    recipe: Mapping[str, Any],
) -> None:
    """Write the state of all that learns, by name; `recipe` as plain values says what the run is.

    Raises:
        OSError: it cannot be written; the previous state is intact.
    """
    _write(
        folder / STATE_FILE,
        {
            "progress": vars(progress),
            **_weights(parts),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "recipe": dict(recipe),
        },
    )


def save_stage(folder: Path, name: str, parts: Mapping[str, nn.Module]) -> None:
    """Keep what a finished stage learned as `stages/<name>.pt`, for runs that start there.

    Raises:
        OSError: it cannot be written.
    """
    (folder / STAGES).mkdir(exist_ok=True)
    _write(folder / STAGES / f"{name}.pt", _weights(parts))


def load_start(init: str, model: nn.Module, heads: nn.Module) -> None:
    """Fill in what a run starts from: a file of `save_stage`, or a checkpoint, which brings no heads.

    Raises:
        RecipeError: nothing of that name, or it is of a model of another shape.
    """
    source = Path(named(init))
    try:
        if source.is_dir():
            model.load_state_dict(load_lavida(source, dtype=torch.float32).state_dict())
        else:
            stage = torch.load(source, map_location="cpu", weights_only=True)
            model.load_state_dict(stage["model"])
            # Codes of owners, which a run of the other kind lacks or has too many of, start fresh or are dropped.
            shared = {name: value for name, value in stage["aids"].items() if name in heads.state_dict()}
            heads.load_state_dict(heads.state_dict() | shared)
    except FileNotFoundError as error:
        raise RecipeError(
            f"init must be an embedded model's name, a checkpoint's folder, or the file that a stage of another run "
            f"ended with, got {init}: {error}"
        ) from error
    except (RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise RecipeError(f"init: {init} does not hold a model of this shape: {error}") from error


def finished_recipe(folder: Path) -> MicroConfig:
    """What the finished run in a folder was told.

    Raises:
        FileNotFoundError: there is no run.
        RecipeError: it is damaged, or not finished.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no training run in {folder}: it has no {STATE_FILE}")
    state = _read(path)
    config, progress = build(MicroConfig, state["recipe"]), Progress(**state["progress"])
    if (progress.stage, progress.step) != (len(config.stages) - 1, config.stages[-1].steps):
        steps = sum(stage.steps for stage in config.stages)
        raise RecipeError(f"the run in {folder} is at step {progress.total} of {steps}: finish it first")
    return config


def load_state(
    folder: Path, parts: Mapping[str, nn.Module], recipe: Mapping[str, Any]
) -> tuple[Progress, list[dict[str, Any]]]:
    """Fill all that learns; returns the progress and the optimisers' states. Without a file: a fresh start.

    Raises:
        RecipeError: the state is damaged, or what it has learnt so far came from another recipe. Stages to come may
            differ.
    """
    state = _read_own(folder, recipe)
    if state is None:
        return Progress(), []
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return Progress(**state["progress"]), state["optimizers"]


def steps_done(folder: Path, recipe: Mapping[str, Any]) -> int:
    """Steps that the run in a folder has done over all stages; 0 where there is none.

    Raises:
        RecipeError: see `load_state`.
    """
    state = _read_own(folder, recipe)
    return 0 if state is None else Progress(**state["progress"]).total


def _read_own(folder: Path, recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    path = folder / STATE_FILE
    if not path.exists():
        return None
    state = _read(path)
    if differ := _changed(state.get("recipe", {}), recipe, state["progress"]["stage"]):
        raise RecipeError(
            f"the run in {folder} was begun with another recipe ({', '.join(differ)} differ): name another output, and "
            f"one of its stages as init to start there"
        )
    return state


def _read(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise RecipeError(f"{path} is damaged: {error}") from error
    return state


def _changed(begun: Mapping[str, Any], recipe: Mapping[str, Any], stage: int) -> list[str]:
    """Keys that decide what was learnt so far and differ; stage number `stage` may have got more steps."""
    changed = changed_keys(MicroConfig, begun, recipe, FREE)
    learnt, asked = changed.pop("stages", ((), ()))
    numbers = [number for number in range(stage + 1) if _stage(learnt, number, stage) != _stage(asked, number, stage)]
    return [*changed, *(f"stages[{number}]" for number in numbers)]


def _stage(stages: Sequence[Mapping[str, Any]], number: int, present: int) -> Mapping[str, Any] | None:
    if number >= len(stages):
        return None
    return {**stages[number], "steps": 0} if number == present else stages[number]


def _weights(parts: Mapping[str, nn.Module]) -> dict[str, Any]:
    return {name: part.state_dict() for name, part in parts.items()}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_path(path, durable=True) as temporary:
        torch.save(dict(content), temporary)
