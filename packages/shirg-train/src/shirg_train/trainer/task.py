"""`kind: adapter`: from a recipe's mapping to a trained adapter, with everything the recipe names opened first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from shirg_lavida.checkpoint.embedded import named
from shirg_lavida.checkpoint.load import load_lavida
from shirg_lavida.checkpoint.locate import locate
from shirg_lavida.model import LavidaModel
from shirg_train.data import load_encoder, open_data
from shirg_train.recipe import RecipeError, build
from shirg_train.trainer.config import AdapterRecipe
from shirg_train.trainer.distributed import World, join_world
from shirg_train.trainer.run import Sources, run


def train_adapter(raw: Mapping[str, Any], *, quiet: bool = False) -> Path:
    """Train the adapter that a recipe describes; the folder it is in.

    Raises:
        RecipeError: the recipe, or something it names, cannot be used.
        CheckpointError: a checkpoint cannot be written or read.
    """
    recipe = build(AdapterRecipe, raw)
    if quiet:
        recipe = replace(recipe, log=replace(recipe.log, progress=False))
    with join_world(always=recipe.engine.zero_stage is not None) as world:
        return run(recipe, open_sources(recipe, world), world)


def open_sources(recipe: AdapterRecipe, world: World) -> Sources:
    """The model and the data that a recipe names.

    Raises:
        RecipeError: they are not there, or cannot be used.
    """
    try:
        folder = locate(named(recipe.model.path), Path(), weights=True)
        data = open_data(recipe.data, load_encoder(folder), seed=recipe.seed, rank=world.rank, world=world.size)
    except (OSError, ValueError) as error:
        raise RecipeError(str(error)) from error

    def load_model(dtype: torch.dtype) -> LavidaModel:
        try:
            return load_lavida(folder, dtype=dtype, vision_tower=recipe.model.vision_tower)
        except (OSError, ValueError) as error:
            raise RecipeError(f"model: {error}") from error

    return Sources(load_model, data.stream, data.held_out, data.samples_per_epoch)
