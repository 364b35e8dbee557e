"""Merging an adapter, saved in peft's own LoRA format, into a model's weights (arXiv 2106.09685).

    W ← W' + s · B A      b ← b'      s = α/r, or α/√r with `use_rslora`      A [r, d_in], B [d_out, r]

W' is the linear's own weight, or the one the adapter carries where the projector was trained too; b' likewise, where
`bias` is `lora_only`. `adapter_config.json` holds r and α, `adapter_model.safetensors` the tensors under the released
model's names. A `shirg.json` beside them, if there is one, says which projector weights and positions it learned on.

peft is not needed. What of its format is not written out here is refused by name.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from shirg_lavida.checkpoint import checkpoint_keys
from shirg_lavida.fingerprint import CARD_FILE, check_fingerprint
from shirg_lavida.model import LavidaModel
from shirg_lavida.prompt import Positions
from shirg_lavida.weights import read_json, set_parameter

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
_ROOT = "base_model.model."
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


def merge_adapter(model: LavidaModel, folder: Path) -> None:
    """Merge the adapter in `folder` into `model`, in place. On an error the model is as it was.

    Raises:
        FileNotFoundError: no adapter in that folder.
        ValueError: a damaged adapter, a kind this code does not merge, tensors whose rank is not the config's, or an
            adapter for another model.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"no adapter in {folder}: {name} is missing")
    config = read_json(folder / CONFIG_FILE, "the adapter")
    rank, scale = _rank_and_scale(config, folder)
    try:
        tensors = load_file(folder / WEIGHTS_FILE)
    except SafetensorError as error:
        raise ValueError(f"the adapter in {folder} is damaged or truncated: {error}") from error
    names, parameters = checkpoint_keys(model), dict(model.named_parameters())
    linears: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, tensor in tensors.items():
        linear, part = _split(key, folder)
        if f"{linear}.weight" not in names:
            raise ValueError(f"the adapter in {folder} is for another model: this one has no linear {linear}")
        linears[linear][part] = tensor
    if (folder / CARD_FILE).is_file():
        check_fingerprint(model, folder)
    merged: dict[str, Tensor] = {}
    for linear, parts in linears.items():
        own = {kind: names[f"{linear}.{kind}"] for kind in ("weight", "bias") if f"{linear}.{kind}" in names}
        weight = parameters[own["weight"]]
        _check_shapes(f"{folder}: {linear}", parts, rank, tuple(weight.shape))
        a, b = (parts[name].to(weight.device, torch.float32) for name in _PARTS[:2])
        base = parts.get("base_layer.weight", weight).to(weight.device, torch.float32)
        merged[own["weight"]] = (base + scale * (b @ a)).to(weight.dtype)
        bias = parts.get("base_layer.bias", parts.get("bias"))
        if bias is not None:
            if "bias" not in own:
                raise ValueError(f"the adapter in {folder} is for another model: {linear} has no bias here")
            merged[own["bias"]] = bias.to(weight.device, weight.dtype)
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


def _split(key: str, folder: Path) -> tuple[str, str]:
    """A tensor's name as the released model's linear and which part of the adapter it is."""
    for part in _PARTS:
        if key.startswith(_ROOT) and key.endswith(f".{part}"):
            return key[len(_ROOT) : -len(part) - 1], part
    raise ValueError(f"the adapter in {folder} holds {key}, which is no part of a LoRA of linears")


def _check_shapes(where: str, parts: Mapping[str, Tensor], rank: int, weight: tuple[int, ...]) -> None:
    if missing := [part for part in _PARTS[:2] if part not in parts]:
        raise ValueError(f"{where}: the adapter lacks {missing[0]}")
    for part, axis in (("lora_A.weight", 0), ("lora_B.weight", 1)):
        shape = parts[part].shape
        if len(shape) != 2 or shape[axis] != rank:
            raise ValueError(f"rank mismatch in {where}: {CONFIG_FILE} says r={rank}, {part} has shape {list(shape)}")
    expected = {"lora_A.weight": (rank, weight[1]), "lora_B.weight": (weight[0], rank), "base_layer.weight": weight}
    for part, tensor in parts.items():
        if tuple(tensor.shape) != expected.get(part, weight[:1]):
            raise ValueError(
                f"the adapter is for another model: {where}.{part} has shape {list(tensor.shape)}, "
                f"but the linear here is {weight[1]} → {weight[0]}"
            )
