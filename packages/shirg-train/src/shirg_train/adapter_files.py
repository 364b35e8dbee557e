"""Adapters on disk: peft's own two files, and `shirg.json` that says which model they belong to.

`adapter_model.safetensors` also carries the projector's own weights where those were trained: peft loads by name, so
they arrive with plain `PeftModel.from_pretrained` too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftConfig, PeftModel
from peft.utils.save_and_load import get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from shirg_core.precision import default_dtype
from shirg_lavida.adapter import CONFIG_FILE, WEIGHTS_FILE
from shirg_lavida.fingerprint import CARD_FILE, check_fingerprint
from shirg_lavida.model import LavidaModel
from shirg_train.adapter import ADAPTER_NAME, adopt, released_names


def save_adapter(
    peft: PeftModel, folder: Path, *, state: Mapping[str, Tensor], fingerprint: list[list[float]], card: dict[str, Any]
) -> None:
    """Write an adapter into a folder that exists.

    Args:
        peft: from `attach`.
        folder: where.
        state: full trainable tensors by their name in `peft` (a sharded model's own are parts).
        fingerprint: of the model before training, see `shirg_lavida.fingerprint`.
        card: what else to record.

    Raises:
        ValueError: trained tensors that the format has no place for.
    """
    config = cast("LoraConfig", peft.peft_config[ADAPTER_NAME])
    known = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    weights = get_peft_model_state_dict(peft, state_dict=known, adapter_name=ADAPTER_NAME)
    weights |= {name: tensor for name, tensor in known.items() if name.endswith("base_layer.weight")}
    if len(weights) != len(known):
        raise ValueError(f"{len(known)} tensors were trained, peft's format took {len(weights)}: {sorted(known)}")
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    raw = {
        **config.to_dict(),  # type: ignore[no-untyped-call]  # peft's own
        "inference_mode": True,
        "target_modules": sorted(config.target_modules or []),
    }
    (folder / CONFIG_FILE).write_text(json.dumps(raw, indent=2, sort_keys=True, default=list) + "\n", encoding="utf-8")
    # safetensors writes for the owner's eyes only; an adapter is as readable as any new file.
    shutil.copymode(folder / CONFIG_FILE, folder / WEIGHTS_FILE)
    text = json.dumps({"fingerprint": fingerprint, **card}, indent=2)
    (folder / CARD_FILE).write_text(text + "\n", encoding="utf-8")


def load_adapter(model: LavidaModel, folder: str | Path) -> PeftModel:
    """Put a saved adapter into `model`, in place, frozen and in eval mode; see also `merge_adapter`.

    Raises:
        FileNotFoundError: no adapter in that folder.
        ValueError: a damaged adapter, one whose tensors are not of the rank its config says, or one for another model.
    """
    folder = Path(folder)
    config, shapes = _read(folder)
    _check_ranks(folder, config, shapes)
    host = released_names(model)
    _check_model(folder, host, model, shapes)
    dtype = model.image_newline.dtype
    with default_dtype(torch.float32):
        peft = PeftModel.from_pretrained(host, str(folder), adapter_name=ADAPTER_NAME, autocast_adapter_dtype=False)
    adopt(model, host)
    # The model runs in one dtype, and so does what was put into it.
    model.projector.to(dtype)
    model.tower.to(dtype)
    model.backbone.to(dtype)
    model.eval().requires_grad_(requires_grad=False)
    return peft


def merge_adapter(model: LavidaModel, peft: PeftModel) -> LavidaModel:
    """Add the adapter to the weights it adapts and remove it: the same function, without its cost."""
    host = cast("nn.Module", peft.merge_and_unload())
    adopt(model, host)
    return model


def _read(folder: Path) -> tuple[LoraConfig, dict[str, list[int]]]:
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"no adapter in {folder}: {name} is missing")
    try:
        config = PeftConfig.from_pretrained(str(folder))
        with safe_open(folder / WEIGHTS_FILE, framework="pt") as opened:
            shapes = {key: list(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the adapter in {folder} is damaged: {error}") from error
    if not isinstance(config, LoraConfig):
        raise ValueError(f"the adapter in {folder} is {config.peft_type}, expected LORA")
    return config, shapes


def _check_ranks(folder: Path, config: LoraConfig, shapes: Mapping[str, list[int]]) -> None:
    for key, shape in shapes.items():
        rank = shape[0] if ".lora_A." in key else shape[1] if ".lora_B." in key else config.r
        if rank != config.r:
            raise ValueError(f"rank mismatch in {folder}: {CONFIG_FILE} says r={config.r}, {key} has rank {rank}")


def _check_model(folder: Path, host: nn.Module, model: LavidaModel, shapes: Mapping[str, list[int]]) -> None:
    linears = {f"base_model.model.{name}": m for name, m in host.named_modules() if isinstance(m, nn.Linear)}
    for key, shape in shapes.items():
        name, _, kind = key.partition(".lora_") if ".lora_" in key else key.partition(".base_layer")
        layer = linears.get(name)
        if layer is None:
            raise ValueError(f"the adapter in {folder} is for another model: this one has no linear {name}")
        at = {"A": (1, layer.in_features), "B": (0, layer.out_features)}.get(kind[:1], (0, layer.out_features))
        if shape[at[0]] != at[1]:
            raise ValueError(
                f"the adapter in {folder} is for another model: {key} has shape {shape}, "
                f"but the linear here is {layer.in_features} → {layer.out_features}"
            )
    if (folder / CARD_FILE).is_file():
        check_fingerprint(model, folder)
