"""Fixed launch sizes: no autotuning, so that a first call costs one compilation per kernel and nothing else."""

from __future__ import annotations

from typing import NamedTuple

import torch


class TileConfig(NamedTuple):
    """Tile sizes and launch options of a tiled product; `registers` caps those of a thread."""

    block: int
    block_d: int
    warps: int
    stages: int
    registers: int | None = None

    @property
    def options(self) -> dict[str, int | bool]:
        """What the launch is told beside its arguments."""
        options: dict[str, int | bool] = {
            "num_warps": self.warps,
            "num_stages": self.stages,
            "enable_fp_fusion": True,
        }
        return options if self.registers is None else options | {"maxnreg": self.registers}


def attention_config(device: torch.device, upcast: bool) -> TileConfig:
    """Square tiles of cosines.

    Float32 runs without matrix units and needs registers, which smaller tiles leave free. On Hopper 128 registers
    let two programs share a multiprocessor.
    """
    if upcast:
        return TileConfig(block=64, block_d=16, warps=8, stages=2)
    registers = 128 if is_hopper(device) else None
    return TileConfig(block=128, block_d=64, warps=8, stages=_stages(3), registers=registers)


def is_hopper(device: torch.device) -> bool:
    """Whether the device is an NVIDIA GPU of compute capability 9."""
    is_nvidia = device.type == "cuda" and torch.version.hip is None
    return is_nvidia and torch.cuda.get_device_capability(device)[0] == 9


def relevance_config(upcast: bool, aligned: bool) -> TileConfig:
    """Tiles of visual by text tokens; small, because memory sets the pace and every multiprocessor should help.

    Left to itself the assembler for Ampere stops at 168 or at 128 registers and spills; a higher cap lets it take more.
    """
    if upcast or not aligned:
        return TileConfig(block=32, block_d=32, warps=4, stages=2)
    return TileConfig(block=64, block_d=64, warps=4, stages=_stages(4), registers=_on_nvidia(200))


def rank_options(block: int) -> dict[str, int | bool]:
    """Launch options of the ranking of `block` tokens at a time, 8 or more to a thread.

    The cap is what 512 threads can have; without one the assembler for Ampere stops at half of it, and spills.
    """
    options: dict[str, int | bool] = {
        "num_warps": min(16, max(4, block // 256)),
        "num_stages": 1,
        "enable_fp_fusion": False,
    }
    registers = _on_nvidia(128)
    return options if registers is None else options | {"maxnreg": registers}


def _on_nvidia(registers: int) -> int | None:
    return registers if torch.version.hip is None else None


def _stages(on_cuda: int) -> int:
    # 64 KiB of shared memory on AMD hold two stages.
    return 2 if torch.version.hip is not None else on_cuda
