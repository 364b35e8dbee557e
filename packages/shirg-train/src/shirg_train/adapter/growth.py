"""Growing a LoRA's rank without changing its function.

    B' A' = [B, 0] [A; A_new] = B A,     α'/r' = α/r

New rows of A are drawn like the first ones, new columns of B are zero. The scale α/r stays, so α grows with r: keeping
α would halve what was learned, or rescale it and with it the step size. Adam's moments of old entries stay; new entries
start with no momentum and with the mean second moment of the old ones, because with a second moment of zero so late in
training Adam's bias correction no longer holds back the first steps.

All functions take and give dictionaries by parameter name, so they serve a running optimizer and a checkpoint alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor, nn

from shirg_train.adapter.lora import AdapterConfig

Moments: TypeAlias = Mapping[str, Mapping[str, Tensor]]
"""Adam's state by parameter name: `exp_avg` and `exp_avg_sq`, shaped like the parameter, and the scalar `step`."""


def grow_config(config: AdapterConfig, rank: int) -> AdapterConfig:
    """The adapter at `rank`, with the same α/r.

    Raises:
        ValueError: `rank` is below the present one.
    """
    if rank < config.r:
        raise ValueError(f"a LoRA of rank {config.r} cannot grow to rank {rank}")
    return replace(config, r=rank, alpha=config.alpha * rank / config.r)


def grow_parameters(parameters: Mapping[str, Tensor], rank: int, generator: torch.Generator) -> dict[str, Tensor]:
    """The LoRA matrices at `rank`; other parameters are passed on.

    LoRA's have names that contain `.lora_A.` and `.lora_B.`; the generator, on the CPU, draws the new rows of A.
    """
    grown = dict(parameters)
    for name, old in parameters.items():
        if ".lora_A." in name:
            rows = torch.empty(rank - old.shape[0], old.shape[1], dtype=torch.float32)
            nn.init.kaiming_uniform_(rows, a=math.sqrt(5), generator=generator)
            grown[name] = torch.cat([old, rows.to(old)])
        elif ".lora_B." in name:
            grown[name] = torch.cat([old, old.new_zeros(old.shape[0], rank - old.shape[1])], dim=1)
    return grown


def grow_moments(moments: Moments, parameters: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Adam's state for `parameters` that have grown; of those that have not, it is passed on."""
    grown: dict[str, dict[str, Tensor]] = {}
    for name, state in moments.items():
        shape = parameters[name].shape
        grown[name] = dict(state)
        if state["exp_avg"].shape == shape:
            continue
        axis = 0 if ".lora_A." in name else 1
        first, second = state["exp_avg"], state["exp_avg_sq"]
        extra = [shape[0] - first.shape[0], -1] if axis == 0 else [-1, shape[1] - first.shape[1]]
        mean = second.mean(dim=axis, keepdim=True).expand(extra)
        grown[name]["exp_avg"] = torch.cat([first, torch.zeros_like(mean)], dim=axis)
        grown[name]["exp_avg_sq"] = torch.cat([second, mean], dim=axis)
    return grown
