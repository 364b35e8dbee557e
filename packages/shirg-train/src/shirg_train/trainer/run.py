"""A whole run: start or resume, grow when the loop says so, leave the finished adapter."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from shirg_core.files import atomic_folder
from shirg_lavida.checkpoint.adapter import read_adapter
from shirg_lavida.checkpoint.fingerprint import fingerprint, linear_marks
from shirg_lavida.model import LavidaModel
from shirg_train.adapter.files import save_adapter, starting_parameters
from shirg_train.adapter.lora import attach, block_linears, parameter_counts, trainable
from shirg_train.checkpointing import ADAPTER_FOLDER, Checkpoint, Progress, latest_checkpoint, load_checkpoint
from shirg_train.data.samples import TrainingSample
from shirg_train.data.stream import GIVE_UP_AFTER, SampleStream
from shirg_train.metrics import Metrics
from shirg_train.recipe import RecipeError
from shirg_train.seeds import derive
from shirg_train.trainer.config import AdapterRecipe
from shirg_train.trainer.context import Loop
from shirg_train.trainer.distributed import World
from shirg_train.trainer.engine import Engine, TorchEngine
from shirg_train.trainer.loop import run_loop
from shirg_train.trainer.module import LossModule
from shirg_train.trainer.output import held
from shirg_train.trainer.resume import another_run, find_checkpoint


@dataclass(frozen=True)
class Sources:
    """What a run takes besides its recipe.

    Attributes:
        load_model: a fresh, frozen base model in a dtype, on the CPU.
        stream: this rank's training samples.
        held_out: validation samples, the same on every rank.
        samples_per_epoch: over all ranks; None = not known.
    """

    load_model: Callable[[torch.dtype], LavidaModel]
    stream: SampleStream
    held_out: Sequence[TrainingSample]
    samples_per_epoch: int | None = None


def run(recipe: AdapterRecipe, sources: Sources, world: World) -> Path:
    """Train to the end and return the folder of the finished adapter.

    Raises:
        RecipeError: the recipe does not fit the data, the ranks, or the run in its output folder.
        CheckpointError: a checkpoint that cannot be written or read.
    """
    recipe.batch.accumulation(world.size)
    total_steps = count_steps(recipe, sources.samples_per_epoch)
    if recipe.validation.every and not sources.held_out:
        raise RecipeError("validation.every is set, but there are no held-out samples")
    with held(recipe.output, world):
        return _run(recipe, sources, world, total_steps)


def _run(recipe: AdapterRecipe, sources: Sources, world: World, total_steps: int) -> Path:
    checkpoint = find_checkpoint(recipe, world)
    if checkpoint is not None and checkpoint.progress.step > total_steps:
        raise RecipeError(
            f"{recipe.output} holds a run of {checkpoint.progress.step} steps, this recipe says {total_steps}; "
            f"{another_run(recipe)}"
        )
    while True:
        progress = _run_at_one_rank(recipe, sources, world, total_steps, checkpoint)
        folder = latest_checkpoint(recipe.output / "checkpoints")
        assert folder is not None, "a loop ends with a checkpoint"
        if progress.step == total_steps:
            break
        checkpoint = load_checkpoint(folder)
    finished = recipe.output / ADAPTER_FOLDER
    if world.is_main:
        with atomic_folder(finished) as fresh:
            shutil.copytree(folder / ADAPTER_FOLDER, fresh, dirs_exist_ok=True)
    return finished


def count_steps(recipe: AdapterRecipe, samples_per_epoch: int | None) -> int:
    """Optimizer steps of a run.

    Raises:
        RecipeError: neither the recipe nor the data says.
    """
    if recipe.steps is not None:
        return recipe.steps
    if samples_per_epoch is None:
        raise RecipeError("the length of this data is unknown: set steps")
    return max(1, math.ceil(recipe.epochs * samples_per_epoch / recipe.batch.size))


def _run_at_one_rank(
    recipe: AdapterRecipe, sources: Sources, world: World, total_steps: int, checkpoint: Checkpoint | None
) -> Progress:
    progress = (
        Progress(step=0, rank=recipe.adapter.r, alpha=recipe.adapter.alpha, world_size=world.size)
        if checkpoint is None
        else checkpoint.progress
    )
    # 1. The model and its adapter, the same on every rank.
    precision = torch.bfloat16 if recipe.model.precision == "bf16" else torch.float32
    lavida = sources.load_model(precision).requires_grad_(requires_grad=False)
    mark = fingerprint(lavida)
    torch.manual_seed(derive(recipe.seed, "adapter"))
    try:
        start = None if checkpoint is not None or recipe.init is None else read_adapter(lavida, recipe.init)
    except (OSError, ValueError) as error:
        raise RecipeError(f"init: {error}") from error
    try:
        linears = linear_marks(lavida, block_linears(lavida, recipe.adapter))
        peft = attach(lavida, replace(recipe.adapter, r=progress.rank, alpha=progress.alpha))
    except ValueError as error:
        raise RecipeError(f"adapter: {error}") from error
    lavida.train()
    counts = parameter_counts(lavida)
    module = LossModule(lavida, recipe.loss, precision, recompute=recipe.engine.recompute, positions=recipe.positions)
    engine = build_engine(module, recipe, world)
    names = _peft_names(lavida, peft)
    # 2. Where it was, or what it begins with.
    if start is not None:
        try:
            engine.load(starting_parameters(start, recipe.adapter, names), {})
        except ValueError as error:
            raise RecipeError(f"init: the adapter in {recipe.init} does not fit this recipe: {error}") from error
    if checkpoint is not None:
        engine.load(checkpoint.parameters, checkpoint.moments)
        try:
            sources.stream.load_state_dict(progress.data[world.rank])
        except ValueError as error:
            raise RecipeError(
                f"the data is not what the run in {recipe.output} was trained on ({error}); {another_run(recipe)}"
            ) from error
    # 3. On from there.

    def write_adapter(folder: Path, parameters: Mapping[str, Tensor], card: dict[str, Any]) -> None:
        state = {names[name]: tensor for name, tensor in parameters.items()}
        facts = {"parameters": counts, "positions": recipe.positions, "linears": linears, **card}
        save_adapter(peft, folder, state=state, fingerprint=mark, card=facts)

    with Metrics(
        recipe.output,
        total_steps=total_steps,
        step=None if checkpoint is None else progress.step,
        active=world.is_main,
        tensorboard=recipe.log.tensorboard,
        progress=recipe.log.progress,
    ) as metrics:
        if checkpoint is None:
            metrics.write("start", 0, parameters=counts, total_steps=total_steps, world_size=world.size)
        elif progress.step == total_steps:
            metrics.say(f"already finished: all {total_steps} steps are done")
        else:
            metrics.say(f"resumed at step {progress.step} of {total_steps}")
        metrics.say(f"{counts['trainable']:,} of {counts['total']:,} parameters are trained (rank {progress.rank})")
        # Two of one rank's samples may lie almost two epochs apart, and further where ranks share them.
        patience = min(GIVE_UP_AFTER, 8 * (sources.samples_per_epoch or GIVE_UP_AFTER))
        loop = Loop(
            recipe,
            total_steps,
            world,
            engine,
            sources.stream,
            sources.held_out,
            lavida.config,
            metrics,
            patience,
            write_adapter,
        )
        try:
            return run_loop(loop, progress)
        finally:
            engine.close()


def build_engine(module: LossModule, recipe: AdapterRecipe, world: World) -> Engine:
    """The engine that the recipe asks for.

    Raises:
        RecipeError: DeepSpeed is asked for and not installed.
    """
    if recipe.engine.zero_stage is None:
        return TorchEngine(module, recipe.optim, world)
    try:
        # Not at the top of the file: the base install does without DeepSpeed.
        from shirg_train.trainer.deepspeed_engine import DeepSpeedEngine
    except ModuleNotFoundError as error:
        raise RecipeError(f"engine.zero_stage needs {error.name}: install shirg-train[deepspeed]") from error
    return DeepSpeedEngine(module, recipe.optim, recipe.batch, recipe.engine, world)


def _peft_names(lavida: LavidaModel, peft: PeftModel) -> dict[str, str]:
    """Our name of each trained parameter → peft's."""
    theirs = {id(parameter): name for name, parameter in peft.named_parameters()}
    return {name: theirs[id(parameter)] for name, parameter in trainable(lavida).items()}
