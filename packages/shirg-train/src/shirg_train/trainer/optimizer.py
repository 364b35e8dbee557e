"""AdamW's parameter groups, and the learning rate as a function of the step.

lr(s) = lr · s'/W                          s' = s + 1 ≤ W          (warm-up)
lr(s) = lr · ½ (1 + cos π (s − W)/(S − W))       afterwards
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from shirg_train.trainer.config import OptimConfig


def parameter_groups(parameters: Mapping[str, nn.Parameter], config: OptimConfig) -> list[dict[str, Any]]:
    """Groups by learning rate and weight decay; each knows its peak as `peak_lr`. Biases do not decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        own = name.startswith("projector.") and name.endswith("base_layer.weight")
        lr = config.lr if not own or config.lr_mm is None else config.lr_mm
        groups.setdefault((lr, config.weight_decay if parameter.dim() > 1 else 0.0), []).append(parameter)
    return [
        {"params": members, "lr": lr, "peak_lr": lr, "weight_decay": decay} for (lr, decay), members in groups.items()
    ]


def build_adamw(parameters: Mapping[str, nn.Parameter], config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over `parameters`."""
    betas = (config.betas[0], config.betas[1])
    return torch.optim.AdamW(parameter_groups(parameters, config), lr=config.lr, betas=betas, eps=config.eps)


def lr_factor(step: int, total_steps: int, warmup_steps: int) -> float:
    """lr(s)/lr for the step number `step`, from 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / (total_steps - warmup_steps)))
