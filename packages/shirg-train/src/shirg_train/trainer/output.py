"""The output folder of a run of many ranks: held by one of them, seen by all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from shirg_core.in_use import hold
from shirg_train.recipe import RecipeError
from shirg_train.trainer.distributed import World


@contextmanager
def held(output: Path, world: World) -> Iterator[None]:
    """The main rank holds the folder for all ranks of the run, which must all see it.

    Raises:
        RecipeError: on every rank, if the main rank cannot, or another one does not.
    """
    with ExitStack() as stack:
        refused: RecipeError | None = None
        if world.is_main:
            try:
                stack.enter_context(hold(output, RecipeError.of_output))
            except RecipeError as error:
                refused = error
        if reasons := [str(each) for each in world.gather(refused) if each is not None]:
            raise RecipeError(reasons[0]) from refused
        _check_shared(output, world)
        yield


def _check_shared(output: Path, world: World) -> None:
    """Every rank must read the checkpoints that the main rank writes, also from another machine.

    Raises:
        RecipeError: on every rank, if one of them sees another folder.
    """
    sign = output / f".rank-0-{os.getpid()}"
    try:
        if world.is_main:
            sign.touch()
        name = world.gather(sign.name)[0]
        blind = [rank for rank, sees in enumerate(world.gather((output / name).exists())) if not sees]
    finally:
        if world.is_main:
            sign.unlink(missing_ok=True)
    if blind:
        raise RecipeError(
            f"output: rank {blind[0]} does not see the {output} of rank 0; choose a folder on a file system that all "
            "machines share"
        )
