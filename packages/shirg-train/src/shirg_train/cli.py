"""`shirg train`: a recipe, and changes to it. Cheap to import: torch and the model come with the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shirg_core.cli.commands import QUIET
from shirg_core.cli.errors import RunFailed, bad_input


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe, a YAML file.", show_default=False)],
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value: --set optim.lr=2e-4.")
    ] = None,
    quiet: Annotated[bool, QUIET] = False,
) -> None:
    """Train what a recipe describes. Rerun the command to resume a run."""
    # Imported here, so that `shirg --help` waits for no library, and what a recipe names in vain not for torch.
    from shirg_core.progress import spinner
    from shirg_train.recipe import RecipeError, read_yaml
    from shirg_train.tasks import check_recipe, run_recipe

    with bad_input(RecipeError):
        raw = read_yaml(recipe, changes or [])
        check_recipe(raw)
    with spinner("loading PyTorch", quiet=quiet):
        from shirg_train.checkpointing import CheckpointError
        from shirg_train.trainer.distributed import LostRankError, is_main_process, speaks_for_its_machine
    try:
        with bad_input(RecipeError):
            finished = run_recipe(raw, quiet=quiet)
    except (CheckpointError, FloatingPointError) as error:
        raise RunFailed(str(error)) from error
    except LostRankError as error:
        if not speaks_for_its_machine():
            raise typer.Exit(1) from error
        raise RunFailed(str(error)) from error
    if is_main_process():
        typer.echo(finished)
