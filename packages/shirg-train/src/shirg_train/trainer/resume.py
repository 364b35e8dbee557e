"""Whether, and from where, a run goes on."""

from __future__ import annotations

from shirg_train.checkpointing import Checkpoint, latest_checkpoint, load_checkpoint
from shirg_train.recipe import RecipeError, changed_keys, differences, plain
from shirg_train.trainer.config import AdapterRecipe
from shirg_train.trainer.distributed import World

FREE_TO_CHANGE = (
    *("output", "resume", "log", "checkpoint", "engine", "steps", "epochs"),
    *("batch.micro", "data.path", "data.images", "data.workers"),
)
"""What a resumed run may say differently. None of it changes what a step learns; `steps` and `epochs` stretch the
learning rate's cosine over the new number of steps. Data is known by its content, wherever it lies: see
`shirg_train.data.record.Source.fingerprint`."""


def find_checkpoint(recipe: AdapterRecipe, world: World) -> Checkpoint | None:
    """The checkpoint to continue from.

    Raises:
        RecipeError: there is one, but of another run.
    """
    folder = latest_checkpoint(recipe.output / "checkpoints")
    if folder is None:
        return None
    if recipe.resume == "never":
        raise RecipeError(f"{recipe.output} holds a run already, and resume is 'never'")
    checkpoint = load_checkpoint(folder)
    done = checkpoint.progress
    if done.world_size != world.size:
        raise RecipeError(f"{folder} was written by {done.world_size} ranks, this run has {world.size}")
    if changed := changed_keys(AdapterRecipe, done.recipe, plain(recipe), FREE_TO_CHANGE):
        raise RecipeError(f"{recipe.output} holds a run with {differences(changed)}; {another_run(recipe)}")
    return checkpoint


def another_run(recipe: AdapterRecipe) -> str:
    """How to go on with a recipe that a run cannot continue with."""
    return f"choose another output, and init: {recipe.output / 'adapter'} to begin there with what this one has learnt"
