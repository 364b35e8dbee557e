"""`shirg train`: a recipe, and changes to it. Cheap to import: torch and the model come with the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shirg_core.cli.commands import QUIET
from shirg_core.cli.errors import BadInput, RunFailed, bad_input

_RECIPE = "Recipe that comes with the package, in place of RECIPE: a name that --list shows."


def train(
    recipe: Annotated[
        Path | None, typer.Argument(metavar="RECIPE", help="Recipe, a YAML file.", show_default=False)
    ] = None,
    shipped: Annotated[str | None, typer.Option("--recipe", help=_RECIPE)] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value: --set optim.lr=2e-4.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    list_only: Annotated[bool, typer.Option("--list", help="Show the package's recipes, and stop.")] = False,
    quiet: Annotated[bool, QUIET] = False,
) -> None:
    """Train what a recipe describes. Rerun the command to resume a run."""
    # Imported here, so that `shirg --help` waits for no library, and what a recipe names in vain not for torch.
    from shirg_core.checks import check_known
    from shirg_core.progress import importing
    from shirg_train.recipe import RecipeError, read_yaml
    from shirg_train.tasks import check_recipe, run_recipe
    from shirg_train.told import about, closing, plan, shipped_recipes

    known = shipped_recipes()
    if list_only:
        for name, path in known.items():
            typer.echo(f"{name:<14} {about(path)}")
        return
    if (recipe is None) == (shipped is None):
        raise BadInput("name one recipe: a YAML file, or --recipe NAME for one that --list shows")
    if shipped is not None:
        with bad_input(ValueError):
            check_known(shipped, known, "recipe")
        recipe = known[shipped]
    assert recipe is not None, "one of both is given"
    with bad_input(RecipeError):
        raw = read_yaml(recipe, changes or [])
        check_recipe(raw)
    with importing("loading PyTorch", quiet=quiet):
        from shirg_train.checkpointing import CheckpointError
        from shirg_train.trainer.distributed import LostRankError, is_main_process, speaks_for_its_machine
    try:
        with bad_input(RecipeError):
            if dry_run:
                for line in plan(raw):
                    typer.echo(line)
                return
            finished = run_recipe(raw, quiet=quiet)
    except (CheckpointError, FloatingPointError) as error:
        raise RunFailed(str(error)) from error
    except LostRankError as error:
        if not speaks_for_its_machine():
            raise typer.Exit(1) from error
        raise RunFailed(str(error)) from error
    if is_main_process():
        typer.echo(finished)
        for line in () if quiet else closing(raw, finished):
            typer.echo(line, err=True)
