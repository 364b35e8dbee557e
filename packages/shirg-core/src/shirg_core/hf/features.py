"""A model's images as rows of features: one row for every placeholder of the prompt."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shirg_core.hf.geometry import find_geometry
from shirg_core.hf.maps import in_order, vision_tower
from shirg_core.hf.places import Geometry, Measure
from shirg_core.hf.tower import tower_attention
from shirg_core.layout import ViewLayout

TILED = frozenset({"internvl", "qianfan_ocr"})
"""Model types whose processors write the tiles of one image as one run of placeholders: they are its views."""

RESAMPLERS = ("perceiver_config", "qformer_config")


@dataclass(frozen=True)
class ImageRows:
    """What the model makes of one image.

    Attributes:
        rows: `[R, D]`.
        deep: `[R, D]` for every deeper layer that features are added to (Qwen3-VL).
        tokens: `[N]` int64, the rows that are tokens of the image; the others are newlines.
        layout: geometry of the N tokens.
        pixels: `[1, N, …]` of a `Measure`, or None.
        attention: `[1, N]`, received in the tower; None unless asked.
        prompt: which prompt of the batch shows it.
    """

    rows: Tensor
    deep: tuple[Tensor, ...]
    tokens: Tensor
    layout: ViewLayout
    pixels: Tensor | None
    attention: Tensor | None
    prompt: int


def unwrapped(model: Any) -> Any:
    """The model of transformers inside what `torch.compile` or peft have put around it."""
    model = getattr(model, "_orig_mod", model)
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def encoder_of(model: Any) -> Any:
    """The module that has `get_image_features`: the base model, or its encoder (DiffusionGemma).

    Raises:
        ValueError: a model without transformers' convention; names what is missing.
    """
    base = getattr(model, "base_model", model)
    homes = [base, getattr(base, "encoder", None), model]
    home = next((home for home in homes if hasattr(home, "get_image_features")), None)
    name = type(model).__name__
    if home is None:
        raise ValueError(f"{name} has no get_image_features: prune needs a VLM of transformers ≥ 5.23")
    if "mm_encoder_outputs" not in inspect.signature(model.forward).parameters:
        raise ValueError(f"{name}.forward takes no mm_encoder_outputs, so it cannot be given a choice of its features")
    resampler = next((part for part in RESAMPLERS if getattr(home.config, part, None) is not None), None)
    if resampler:
        raise ValueError(f"{name} resamples its images (config.{resampler}): its tokens have no places in the image")
    return home


def encode(
    home: Any, inputs: Mapping[str, Any], places: Tensor, measure: Measure, attention_layer: int | None = None
) -> tuple[list[ImageRows], Any, set[str]]:
    """Encode all images of the prompts.

    Args:
        home: from `encoder_of`.
        inputs: what the processor wrote.
        places: `[P, 2]` int64, prompt and index of every placeholder, in order.
        measure: of the pixels behind every token.
        attention_layer: of the tower, whose attention is to be observed; None = none.

    Returns:
        The images in the order of their placeholders, the model's own output, and the inputs that went into it.

    Raises:
        ValueError: features and placeholders of different counts, rows without places, or an offloaded newline.
    """
    offloaded = next((name for name, own in home.named_parameters(recurse=False) if own.is_meta), None)
    if offloaded:
        cannot = "where get_image_features cannot read it: name a device for it in device_map"
        raise ValueError(f"the parameter {offloaded} of {type(home).__name__} is offloaded, {cannot}")
    names = inspect.signature(home.get_image_features).parameters
    given = {name: inputs[name] for name in names if inputs.get(name) is not None}
    maps = None
    if attention_layer is None:
        output = home.get_image_features(**given, return_dict=True)
    else:
        tower = vision_tower(home)
        with tower_attention(tower, attention_layer) as seen:
            output = home.get_image_features(**given, return_dict=True)
        maps = in_order(tower, seen.images, inputs.get("image_grid_thw"), attention_layer)
    entries = _entries(output.pooler_output)
    rows = torch.cat(entries)
    if len(rows) != len(places):
        at = f"{len(places)} image placeholders"
        raise ValueError(f"the images give {len(rows)} features, the prompts hold {at}: one image too many or too few?")
    deep = [torch.cat(_entries(layer)) for layer in getattr(output, "deepstack_features", None) or ()]
    images: list[ImageRows] = []
    first = 0
    for geometry in _pictures(home, find_geometry(home, inputs, entries, maps, measure), places):
        span = slice(first, first + geometry.n_rows)
        prompts = places[span, 0].unique()
        if len(prompts) != 1:
            lack = f"which prompt {int(places[first, 0])} has no placeholders for"
            raise ValueError(f"image {len(images)} has {geometry.n_rows} features, {lack}")
        tokens = torch.arange(geometry.n_rows, device=rows.device) if geometry.tokens is None else geometry.tokens
        own = tuple(layer[span] for layer in deep)
        maps_own = geometry.pixels, geometry.attention
        images.append(ImageRows(rows[span], own, tokens, geometry.layout, *maps_own, int(prompts)))
        first = span.stop
    if first != len(rows):
        raise ValueError(f"the images give {len(rows)} features, of which {first} have a known place in an image")
    return images, output, set(names)


def _pictures(home: Any, found: list[Geometry], places: Tensor) -> list[Geometry]:
    """`found`, with the tiles of one image joined."""
    if home.config.model_type not in TILED:
        return found
    pictures, first = found[:1], found[0].n_rows
    for tile in found[1:]:
        if (places[first] - places[first - 1]).tolist() == [0, 1]:
            pictures[-1] = pictures[-1].joined(tile)
        else:
            pictures.append(tile)
        first += tile.n_rows
    return pictures


def _entries(pooled: Any) -> list[Tensor]:
    """A model's features, in whatever container, as `[n, D]` rows."""
    if not isinstance(pooled, list | tuple):
        return [pooled] if pooled.dim() == 2 else list(pooled)
    if not all(isinstance(entry, Tensor) for entry in pooled):
        raise ValueError(f"features of every image must be tensors, got {sorted({type(e).__name__ for e in pooled})}")
    return list(pooled)
