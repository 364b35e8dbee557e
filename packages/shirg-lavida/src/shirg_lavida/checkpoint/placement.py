"""Which device each part of a model goes to.

A model has three parts: `tower`, `projector` and `backbone` (`image_newline` stays with the backbone). Tensors cross
from one part's device to the next one's explicitly, so a part is never split. A device map names devices for parts,
with `""` for those it does not name: `{"": "cuda:0"}`, `{"tower": "cpu", "": "cuda:0"}`. `"auto"` fills the devices
that accelerate finds, in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import torch
from torch import nn

Device: TypeAlias = torch.device | str | int
DeviceMap: TypeAlias = Mapping[str, Device] | Literal["auto"]
PARTS = ("tower", "projector", "backbone")


def part_devices(model: nn.Module, device_map: DeviceMap, dtype: torch.dtype | None) -> dict[str, torch.device]:
    """The device of each of `PARTS`.

    Raises:
        ValueError: an unknown part, a part without a device, or a model that does not fit into memory.
    """
    if device_map == "auto":
        from accelerate import infer_auto_device_map  # type: ignore[import-untyped]  # slow to import, seldom needed

        whole = [type(getattr(model, part)).__name__ for part in PARTS]
        inferred = infer_auto_device_map(model, no_split_module_classes=whole, dtype=dtype)
        device_map = {part: device for part, device in inferred.items() if part != "image_newline"}
    if not isinstance(device_map, Mapping):
        raise ValueError(f"device_map must be 'auto' or map parts to devices, got {device_map!r}")
    if unknown := sorted(set(device_map) - {"", *PARTS}):
        raise ValueError(f"device_map names {unknown}; a model has the parts {', '.join(PARTS)}")
    chosen: dict[str, torch.device] = {}
    for part in PARTS:
        device = device_map.get(part, device_map.get(""))
        if device is None:
            raise ValueError(f"device_map gives {part!r} no device, and has no '' for the rest")
        if device == "disk":
            raise ValueError(f"{part!r} fits into no device's memory; offloading to disk is not supported")
        chosen[part] = torch.device(device)
    return chosen


def part_of(name: str) -> str:
    """The part that a parameter or module belongs to."""
    part = name.partition(".")[0]
    return "backbone" if part == "image_newline" else part


def device_of(module: nn.Module) -> torch.device:
    """The device of a part's parameters."""
    return next(module.parameters()).device
