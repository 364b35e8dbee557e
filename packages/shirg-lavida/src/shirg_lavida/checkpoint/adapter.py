"""Merging an adapter, saved in peft's own LoRA format, into a model's weights (arXiv 2106.09685).

    W ← W' + s · B A      b ← b'      s = α/r, or α/√r with `use_rslora`      A [r, d_in], B [d_out, r]

W' is the linear's own weight, or the one the adapter carries where the projector was trained too; b' likewise, where
`bias` is `lora_only`. `adapter_config.json` holds r and α, `adapter_model.safetensors` the tensors under the released
model's names. A `shirg.json` beside them, if there is one, says which projector weights and positions it learned on.

peft is not needed. What of its format is not written out here is refused by name.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from shirg_core.files import lfs_pointer, read_json
from shirg_lavida.checkpoint.fingerprint import CARD_FILE, check_fingerprint
from shirg_lavida.checkpoint.load import checkpoint_keys
from shirg_lavida.checkpoint.locate import CONFIG_FILE, WEIGHTS_FILE, check_adapter
from shirg_lavida.checkpoint.weights import set_parameter
from shirg_lavida.model import LavidaModel
from shirg_lavida.prompt.join import Positions

PEFT_ROOT = "base_model.model"
"""What peft puts before every name."""
_PARTS = ("lora_A.weight", "lora_B.weight", "base_layer.weight", "base_layer.bias", "bias")
_PLAIN: dict[str, tuple[Any, ...]] = {
    "bias": ("none", "lora_only"),
    "use_dora": (False, None),
    "fan_in_fan_out": (False, None),
    "lora_bias": (False, None),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "modules_to_save": (None, []),
    # Others, such as pissa and olora, also change the weights that the adapter was trained on.
    "init_lora_weights": (True, False, "gaussian", "orthogonal", "eva", None),
    "layer_replication": (None,),
}
"""peft's key → values that mean the formula above."""


@dataclass(frozen=True)
class SavedAdapter:
    """An adapter as it was saved, checked against a model.

    Attributes:
        rank: r.
        scale: s.
        linears: the released name of each adapted linear → its tensors, by their names in `_PARTS`.
    """

    rank: int
    scale: float
    linears: Mapping[str, Mapping[str, Tensor]]


def read_adapter(model: LavidaModel, folder: Path) -> SavedAdapter:
    """Read the adapter in `folder`, tensors on the CPU.

    Raises:
        FileNotFoundError: no adapter in that folder.
        ValueError: a damaged adapter, a kind that the formula above does not cover, tensors that are missing, unknown
            or of a shape or rank that the config does not give them, or an adapter for another model.
    """
    check_adapter(folder)
    config = read_json(folder / CONFIG_FILE, "the adapter")
    rank, scale = _rank_and_scale(config, folder)
    try:
        tensors = load_file(folder / WEIGHTS_FILE)
    except SafetensorError as error:
        pointer = lfs_pointer(folder / WEIGHTS_FILE)
        raise ValueError(pointer or f"the adapter in {folder} is damaged or truncated: {error}") from error
    modules = _linears(model)
    linears: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, tensor in tensors.items():
        linear, part = _split(key, folder)
        if linear not in modules:
            raise ValueError(f"the adapter in {folder} is for another model: this one has no linear {linear}")
        linears[linear][part] = tensor
    _check_targets(folder, config, modules, linears)
    if (folder / CARD_FILE).is_file():
        check_fingerprint(model, folder)
    for linear, parts in linears.items():
        own = modules[linear]
        _check_shapes(f"{folder}: {linear}", parts, rank, tuple(own.weight.shape))
        carried = {"base_layer.bias", "bias"} & parts.keys()
        if carried and own.bias is None:
            raise ValueError(f"the adapter in {folder} is for another model: {linear} has no bias here")
        if config.get("bias") == "lora_only" and own.bias is not None and not carried:
            raise ValueError(f"{folder}: {linear}: the adapter lacks the bias that bias=lora_only trains")
    return SavedAdapter(rank, scale, linears)


def merge_adapter(model: LavidaModel, folder: Path) -> None:
    """Merge the adapter in `folder` into `model`, in place. On an error the model is as it was.

    Raises:
        FileNotFoundError: no adapter in that folder.
        ValueError: see `read_adapter`.
    """
    saved = read_adapter(model, folder)
    names, parameters = checkpoint_keys(model), dict(model.named_parameters())
    merged: dict[str, Tensor] = {}
    for linear, parts in saved.linears.items():
        name = names[f"{linear}.weight"]
        weight = parameters[name]
        a, b = (parts[part].to(weight.device, torch.float32) for part in _PARTS[:2])
        base = parts.get("base_layer.weight", weight).to(weight.device, torch.float32)
        merged[name] = (base + saved.scale * (b @ a)).to(weight.dtype)
        bias = parts.get("base_layer.bias", parts.get("bias"))
        if bias is not None:
            merged[names[f"{linear}.bias"]] = bias.to(weight.device, weight.dtype)
    for name, value in merged.items():
        set_parameter(model, name, value)


def trained_positions(folder: Path) -> Positions:
    """The positions that the adapter in `folder` was trained on; `packed` where no card says otherwise.

    Raises:
        ValueError: a damaged card.
    """
    if not (folder / CARD_FILE).is_file():
        return "packed"
    recorded = read_json(folder / CARD_FILE, "the adapter's card").get("positions", "packed")
    for positions in get_args(Positions):
        if positions == recorded:
            known: Positions = positions
            return known
    raise ValueError(f"{folder / CARD_FILE}: positions must be one of {get_args(Positions)}, got {recorded!r}")


def _rank_and_scale(config: Mapping[str, Any], folder: Path) -> tuple[int, float]:
    if config.get("peft_type") != "LORA":
        raise ValueError(f"the adapter in {folder} is {config.get('peft_type')!r}, expected 'LORA'")
    for key, plain in _PLAIN.items():
        if config.get(key, plain[0]) not in plain:
            raise ValueError(f"the adapter in {folder} has {key}={config[key]!r}, which is not supported")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise ValueError(f"{folder / CONFIG_FILE} needs a rank r ≥ 1 and lora_alpha, got {rank!r} and {alpha!r}")
    return rank, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _linears(model: LavidaModel) -> dict[str, nn.Linear]:
    """Every linear by its released name."""
    owners = {
        name: own.removesuffix(".weight") for name, own in checkpoint_keys(model).items() if own.endswith(".weight")
    }
    modules = {name.removesuffix(".weight"): model.get_submodule(owner) for name, owner in owners.items()}
    return {name: module for name, module in modules.items() if isinstance(module, nn.Linear)}


def _check_targets(
    folder: Path, config: Mapping[str, Any], modules: Collection[str], linears: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """The file holds the linears that the config names, no others, and each of them whole."""
    targets, excluded = config.get("target_modules") or [], config.get("exclude_modules") or []
    if targets == "all-linear" or config.get("layers_to_transform") is not None:
        expected = set(linears)  # the config alone does not say
    else:
        expected = {name for name in modules if _names(name, targets) and not _names(name, excluded)}
    if missing := sorted(expected - linears.keys()):
        raise ValueError(f"the adapter in {folder} lacks {missing[0]}, which its {CONFIG_FILE} names")
    if unknown := sorted(linears.keys() - expected):
        raise ValueError(f"the adapter in {folder} holds {unknown[0]}, which its {CONFIG_FILE} does not name")


def _names(linear: str, targets: str | Sequence[str]) -> bool:
    """Whether a linear is meant, as peft reads names: a pattern, or names and ends of names."""
    if isinstance(targets, str):
        return re.fullmatch(targets, linear) is not None
    return any(linear == target or linear.endswith(f".{target}") for target in targets)


def _split(key: str, folder: Path) -> tuple[str, str]:
    """A tensor's name as the released model's linear and which part of the adapter it is."""
    for part in _PARTS:
        if key.startswith(f"{PEFT_ROOT}.") and key.endswith(f".{part}"):
            return key[len(PEFT_ROOT) + 1 : -len(part) - 1], part
    raise ValueError(f"the adapter in {folder} holds {key}, which is not part of a LoRA on linear layers")


def _check_shapes(where: str, parts: Mapping[str, Tensor], rank: int, weight: tuple[int, ...]) -> None:
    if missing := [part for part in _PARTS[:2] if part not in parts]:
        raise ValueError(f"{where}: the adapter lacks {missing[0]}")
    for part, axis in (("lora_A.weight", 0), ("lora_B.weight", 1)):
        shape = parts[part].shape
        if len(shape) != 2 or shape[axis] != rank:
            found = f"rank {shape[axis]}" if len(shape) == 2 else f"shape {list(shape)}"
            raise ValueError(f"rank mismatch in {where}: {CONFIG_FILE} says r={rank}, {part} has {found}")
    expected = {"lora_A.weight": (rank, weight[1]), "lora_B.weight": (weight[0], rank), "base_layer.weight": weight}
    for part, tensor in parts.items():
        if tuple(tensor.shape) != expected.get(part, weight[:1]):
            raise ValueError(
                f"the adapter is for another model: {where}.{part} has shape {list(tensor.shape)}, "
                f"but the linear here is {weight[1]} → {weight[0]}"
            )
