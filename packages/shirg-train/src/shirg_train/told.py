"""What `shirg train` says before and after a run. Cheap to import: torch comes with a plan."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shirg_train.metrics import read_metrics
from shirg_train.tasks import micro_parts

RECIPES = Path(__file__).parent / "recipes"
"""The recipes that come with the package."""


def shipped_recipes() -> dict[str, Path]:
    """Name → file of each."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}


def about(recipe: Path) -> str:
    """The first sentence of a recipe's leading comment."""
    words = []
    for line in recipe.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        words.append(line.lstrip("# "))
    return " ".join(words).partition(". ")[0].rstrip(".") + "."


def plan(raw: Mapping[str, Any]) -> list[str]:
    """What a run would do; data are opened, and no weights are read.

    Raises:
        RecipeError: the recipe, or something it names, cannot be used; or the run in its folder is of another one.
        CheckpointError: a checkpoint cannot be read.
    """
    if raw.get("kind", "adapter") == "micro":
        return list(_plan_micro(raw))
    return list(_plan_adapter(raw))


def _plan_adapter(raw: Mapping[str, Any]) -> Iterator[str]:
    from shirg_train.recipe import build
    from shirg_train.trainer.config import AdapterRecipe
    from shirg_train.trainer.distributed import join_world
    from shirg_train.trainer.resume import find_checkpoint
    from shirg_train.trainer.run import count_steps
    from shirg_train.trainer.task import open_sources

    recipe = build(AdapterRecipe, raw)
    with join_world() as world:
        recipe.batch.accumulation(world.size)
        sources, checkpoint = open_sources(recipe, world), find_checkpoint(recipe, world)
    steps = count_steps(recipe, sources.samples_per_epoch)
    adapter = recipe.adapter
    yield f"would train  a LoRA of rank {adapter.r} on {', '.join(adapter.target)} of {recipe.model.path}"
    yield f"steps        {steps} of {recipe.batch.size} samples, {len(sources.held_out)} samples held out"
    yield f"policies     {', '.join(policy.name for policy in recipe.keep)}"
    yield f"output       {recipe.output}, {_standing(0 if checkpoint is None else checkpoint.progress.step, steps)}"


def _plan_micro(raw: Mapping[str, Any]) -> Iterator[str]:
    from shirg_train.recipe import build, plain
    from shirg_train.testbed.micro.config import MicroConfig
    from shirg_train.testbed.micro.state import steps_done

    rest, output = micro_parts(raw)
    config = build(MicroConfig, rest)
    steps = sum(stage.steps for stage in config.stages)
    yield f"would train  a micro model from {'nothing' if config.init is None else config.init}"
    yield f"stages       {', '.join(f'{stage.name} ({stage.steps} steps)' for stage in config.stages)}"
    yield f"output       {output}, {_standing(steps_done(output, plain(config)), steps)}"


def _standing(done: int, steps: int) -> str:
    if done == steps:
        return "already finished"
    return f"would resume at step {done} of {steps}" if done else "would begin anew"


def closing(raw: Mapping[str, Any], finished: Path) -> list[str]:
    """What came out of a finished run: the NLL before and after, where it was validated, and how to ask the result."""
    if raw.get("kind", "adapter") == "micro":
        # `shirg ask` has no learned compressors.
        return [] if raw.get("compressor") else [f"ask it  {_ask(str(finished))}"]
    said = []
    path = finished.parent / "metrics.jsonl"
    rows = (
        [row for row in read_metrics(path, "validation") if isinstance(row.get("nll"), Mapping)]
        if path.exists()
        else []
    )
    if rows:
        before, after = rows[0]["nll"], rows[-1]["nll"]
        changes = (f"{name} {before[name]:.4f} → {value:.4f}" for name, value in after.items() if name in before)
        said = [f"NLL     {', '.join(changes)} (step {rows[0]['step']} → {rows[-1]['step']})"]
    return [*said, f"ask it  {_ask(str(raw['model']['path']))} --adapter {shlex.quote(str(finished))}"]


def _ask(model: str) -> str:
    return f'shirg ask IMAGE "QUESTION" --model {shlex.quote(model)}'
