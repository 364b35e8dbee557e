"""Adapters on disk: peft's own two files, and `shirg.json` that says which model they belong to.

`adapter_model.safetensors` also carries the projector's own weights where those were trained: peft loads by name, so
they arrive with plain `PeftModel.from_pretrained` too.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from peft import LoraConfig, PeftModel
from peft.utils.save_and_load import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor

from shirg_lavida.checkpoint.adapter import PEFT_ROOT, SavedAdapter
from shirg_lavida.checkpoint.fingerprint import CARD_FILE
from shirg_lavida.checkpoint.locate import CONFIG_FILE, WEIGHTS_FILE
from shirg_train.adapter.lora import ADAPTER_NAME, AdapterConfig


def save_adapter(
    peft: PeftModel, folder: Path, *, state: Mapping[str, Tensor], fingerprint: list[list[float]], card: dict[str, Any]
) -> None:
    """Write an adapter into a folder that exists.

    `state` holds full trainable tensors by their name in `peft`; a sharded model's own are parts.

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


def starting_parameters(saved: SavedAdapter, config: AdapterConfig, names: Mapping[str, str]) -> dict[str, Tensor]:
    """What a new run begins with: every trained parameter of a saved adapter, under this run's names.

    `names`: this run's name of each trained parameter → its name in peft.

    Raises:
        ValueError: it has another rank or scale than `config` says, or trains something else.
    """
    if saved.rank != config.r or not math.isclose(saved.scale, config.alpha / config.r):
        raise ValueError(
            f"it has r={saved.rank} and alpha={saved.scale * saved.rank:g}, the recipe says r={config.r} and "
            f"alpha={config.alpha:g}"
        )
    there = {f"{linear}.{part}": tensor for linear, parts in saved.linears.items() for part, tensor in parts.items()}
    here = {
        name: theirs.removeprefix(f"{PEFT_ROOT}.").replace(f".{ADAPTER_NAME}.", ".") for name, theirs in names.items()
    }
    # peft calls a linear's own bias by one name or the other, depending on its version.
    taken = {name: key if key in there else key.replace(".base_layer.bias", ".bias") for name, key in here.items()}
    for absent, what in (
        (sorted(set(taken.values()) - there.keys()), "does not hold {}, which this recipe trains"),
        (sorted(there.keys() - set(taken.values())), "holds {}, which this recipe does not train"),
    ):
        if absent:
            raise ValueError(f"it {what.format(absent[0])}")
    return {name: there[key].float() for name, key in taken.items()}
