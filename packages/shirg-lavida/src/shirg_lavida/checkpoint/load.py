"""Loading and saving LaViDa checkpoints in the upstream layout.

A folder holds `config.json` and `model.safetensors` (or shards with `model.safetensors.index.json`). Its
`mm_vision_tower` names the SigLIP tower: a folder relative to the checkpoint, an absolute folder, or a hub id.
Checkpoints whose tower was trained, the released ones among them, carry the tower's weights themselves and need only
its `config.json` from there; if `mm_vision_tower` is a path on their authors' machine, and the weights are those of
SigLIP so400m at 384 px, its known configuration is taken.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from shirg_core.files import atomic_folder, read_json
from shirg_lavida.checkpoint.empty import no_weights
from shirg_lavida.checkpoint.locate import PathOrId, locate
from shirg_lavida.checkpoint.placement import DeviceMap, part_devices, part_of
from shirg_lavida.checkpoint.weights import (
    FLOAT_DTYPES,
    Stored,
    check_match,
    drop_tied,
    read_weights,
    set_parameter,
    stored_weights,
)
from shirg_lavida.config import LavidaConfig, check_lavida
from shirg_lavida.model import LavidaModel
from shirg_lavida.vision.config import SO400M_384, VisionConfig

TOWER_KEY = "model.vision_tower.vision_tower.vision_model."
TOWER_FOLDER = "siglip_tower"
TOWER_HINT = "name the SigLIP tower by --vision-tower (vision_tower= in Python), a folder or a hub id"


def load_lavida(
    folder: PathOrId,
    *,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    device_map: DeviceMap | None = None,
    vision_tower: PathOrId | None = None,
) -> LavidaModel:
    """Load a LaViDa checkpoint of any of `shirg_lavida.families`: eval mode, weights frozen, one pass over the files.

    Args:
        folder: a folder or a hub id.
        dtype: of all weights, also by its name; None keeps the checkpoint's.
        device: of all weights; None = CPU.
        device_map: instead of `device`, see `shirg_lavida.checkpoint.placement`.
        vision_tower: the tower's folder, relative to the working directory or else to the checkpoint, or its hub id,
            in place of the checkpoint's own `mm_vision_tower`.

    Raises:
        OSError: a folder, file or download that is not there.
        ValueError: not a LaViDa checkpoint of a known family, a damaged file, or weights that do not fit; the message
            names what is wrong.
    """
    by_name = {str(known).removeprefix("torch."): known for known in FLOAT_DTYPES.values()}
    chosen = by_name.get(dtype) if isinstance(dtype, str) else dtype
    if dtype is not None and chosen not in by_name.values():
        raise ValueError(f"dtype must be a floating torch dtype, {', '.join(by_name)} or None, got {dtype!r}")
    if device is not None and device_map is not None:
        raise ValueError(f"give device or device_map, not both (got {device!r} and {device_map!r})")
    root = locate(folder, Path(), weights=True)
    raw = read_json(root / "config.json", "not a LaViDa checkpoint")
    check_lavida(raw)
    stored = stored_weights(root)
    own_tower = {key.removeprefix(TOWER_KEY): w.shape for key, w in stored.items() if key.startswith(TOWER_KEY)}
    tower_root = _tower_folder(raw.get("mm_vision_tower"), vision_tower, root, own_tower)
    vision = SO400M_384
    if tower_root is not None:
        vision = VisionConfig.from_checkpoint(read_json(tower_root / "config.json", "the vision tower"))
    if chosen is None:
        chosen = _common_dtype(stored)
    if not own_tower and tower_root is not None:
        stored |= _tower_weights(tower_root, vision)

    with no_weights():
        model = LavidaModel(LavidaConfig.from_checkpoint(raw, vision))
    names = checkpoint_keys(model)
    if model.config.language.weight_tying:
        stored = drop_tied(stored, *model.config.family.tied_keys)
    check_match(stored, names, {name: parameter.shape for name, parameter in model.named_parameters()})
    devices = part_devices(model, _device_map(device, device_map), chosen)
    for key, weight in read_weights(stored):
        name = names[key]
        set_parameter(model, name, weight.to(devices[part_of(name)], chosen))
    return model.eval()


def _device_map(device: torch.device | str | None, device_map: DeviceMap | None) -> DeviceMap:
    if device_map is not None:
        return device_map
    return {"": "cpu" if device is None else device}


def save_lavida(model: LavidaModel, folder: PathOrId, *, max_shard_size: str = "5GB", overwrite: bool = False) -> None:
    """Write a checkpoint in the upstream layout, tower included; the folder appears complete or not at all.

    Args:
        model: any LaViDa with its own parameters (adapters merged first).
        folder: where; its parent exists.
        max_shard_size: larger checkpoints are split.
        overwrite: replace a folder that is there.

    Raises:
        OSError: the folder is there already and `overwrite` is off, or cannot be written.
    """
    from huggingface_hub import save_torch_state_dict  # whoever only loads need not wait for it

    target = Path(folder)
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists already; pass overwrite=True to replace it")
    parameters = dict(model.named_parameters())
    state = {key: parameters[name].detach().contiguous() for key, name in checkpoint_keys(model).items()}
    with atomic_folder(target) as fresh:
        (fresh / TOWER_FOLDER).mkdir(parents=True)
        save_torch_state_dict(state, fresh, max_shard_size=max_shard_size)
        raw = {**model.config.raw, "mm_vision_tower": TOWER_FOLDER}
        (fresh / "config.json").write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")
        # safetensors writes for the owner's eyes only; a checkpoint is as readable as any new file.
        for weights in fresh.glob("*.safetensors"):
            shutil.copymode(fresh / "config.json", weights)
        tower = model.config.vision.to_transformers().to_json_string()
        (fresh / TOWER_FOLDER / "config.json").write_text(tower, encoding="utf-8")


def checkpoint_keys(model: LavidaModel) -> dict[str, str]:
    """Upstream checkpoint key → own parameter name, for every parameter.

    Raises:
        ValueError: parameters without an upstream name, such as unmerged adapters.
    """
    names = {TOWER_KEY + name: f"tower.siglip.{name}" for name, _ in model.tower.siglip.named_parameters()}
    names |= {f"model.mm_projector.{name}": f"projector.{name}" for name, _ in model.projector.named_parameters()}
    names |= {"model.image_newline": "image_newline"}
    names |= {key: f"backbone.{name}" for key, name in model.config.family.key_map(model.config.language).items()}
    own = {name for name, _ in model.named_parameters()}
    if own != set(names.values()):
        raise ValueError(f"no upstream name for {sorted(own ^ set(names.values()))[:4]}")
    return names


def _tower_folder(
    own: PathOrId | None, chosen: PathOrId | None, root: Path, shapes: Mapping[str, tuple[int, ...]]
) -> Path | None:
    """Where the tower is; None = in the checkpoint in `root`, whose tower's `shapes` are those of `SO400M_384`."""
    if chosen is not None:
        here = Path(chosen)
        return here if here.is_dir() else locate(chosen, root, weights=not shapes)
    if own and (root / own).is_dir():
        return root / own
    if shapes and SO400M_384.holds(shapes):
        return None
    if not own:
        raise ValueError(f"config.json names no mm_vision_tower; {TOWER_HINT}")
    try:
        return locate(own, root, weights=not shapes)
    except OSError as error:
        raise type(error)(f"the checkpoint's mm_vision_tower: {error}; {TOWER_HINT}") from error


def _common_dtype(stored: Mapping[str, Stored]) -> torch.dtype | None:
    dtypes = sorted({weight.dtype for weight in stored.values()})
    if len(dtypes) > 1:
        raise ValueError(f"the checkpoint mixes {', '.join(dtypes)}; choose one with dtype=")
    return FLOAT_DTYPES.get(dtypes[0])


def _tower_weights(folder: Path, vision: VisionConfig) -> dict[str, Stored]:
    """A SigLIP folder's vision weights by upstream key, without the last layer, the head and the text model."""
    last = f"encoder.layers.{vision.num_hidden_layers - 1}."
    weights = stored_weights(folder)
    prefix = "vision_model."
    if any(key.startswith(prefix) for key in weights):
        weights = {key.removeprefix(prefix): w for key, w in weights.items() if key.startswith(prefix)}
    return {TOWER_KEY + key: w for key, w in weights.items() if not key.startswith((last, "head."))}
