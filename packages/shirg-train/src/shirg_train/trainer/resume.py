"""Whether, and from where, a run goes on."""

from __future__ import annotations

from shirg_train.checkpointing import Checkpoint, latest_checkpoint, load_checkpoint
from shirg_train.recipe import RecipeError, as_read_today, plain
from shirg_train.trainer.config import AdapterRecipe
from shirg_train.trainer.distributed import World

FREE_TO_CHANGE = frozenset({"output", "resume", "log", "checkpoint", "engine"})
"""What a resumed run may say differently: nothing here changes what is learned."""


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
    if checkpoint.progress.world_size != world.size:
        raise RecipeError(f"{folder} was written by {checkpoint.progress.world_size} ranks, this run has {world.size}")
    old, new = as_read_today(AdapterRecipe, checkpoint.progress.recipe), plain(recipe)
    for key in sorted((old.keys() | new.keys()) - FREE_TO_CHANGE):
        if old.get(key) != new.get(key):
            raise RecipeError(
                f"{recipe.output} holds a run with {key}: {old.get(key)!r}, this recipe says {new.get(key)!r}; "
                "choose another output"
            )
    return checkpoint
