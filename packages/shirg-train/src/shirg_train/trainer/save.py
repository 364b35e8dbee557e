"""Saving a run: one rank writes, all learn whether it could."""

from __future__ import annotations

from dataclasses import replace

from shirg_train.adapter.growth import grow_moments, grow_parameters
from shirg_train.checkpointing import Checkpoint, Progress, save_checkpoint
from shirg_train.recipe import plain
from shirg_train.seeds import generator
from shirg_train.trainer.context import Loop


def save(loop: Loop, progress: Progress, *, grown: bool) -> None:
    """Write a checkpoint with its adapter; all ranks call it.

    With `grown`, parameters and moments become those of the rank that `progress` says.

    Raises:
        CheckpointError: it cannot be written.
        RuntimeError: on the other ranks, rank 0 could not write it.
    """
    recipe, world = loop.recipe, loop.world
    own, moments = loop.engine.parameters(), loop.engine.moments()
    parameters = own
    if grown:
        parameters = grow_parameters(own, progress.rank, generator(recipe.seed, "growth", progress.rank))
        moments = grow_moments(moments, parameters)
    places = tuple(world.gather(dict(loop.stream.state_dict())))
    progress = replace(progress, data=places, recipe=plain(recipe))
    failure: Exception | None = None
    if world.is_main:
        card = {"step": progress.step, "nll": dict(progress.nll), "baseline_nll": progress.baseline_nll}
        try:
            save_checkpoint(
                recipe.output / "checkpoints",
                Checkpoint(progress, parameters, moments),
                keep=recipe.checkpoint.keep,
                write_adapter=lambda folder: loop.write_adapter(folder, own, card),
            )
        except Exception as error:  # noqa: BLE001 (raised again below, once the other ranks know)
            failure = error
    failures = [f for f in world.gather(None if failure is None else str(failure)) if f is not None]
    if failure is not None:
        raise failure
    if failures:
        raise RuntimeError(f"rank 0 could not write the checkpoint: {failures[0]}")
