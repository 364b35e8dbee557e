"""What the loop needs from an optimizer, and the plain PyTorch one.

Parameters and Adam's moments go in and out as full tensors by name, so a checkpoint does not know which engine, ZeRO
stage or number of ranks wrote it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

from shirg_core.clock import Clock
from shirg_train.adapter.growth import Moments
from shirg_train.adapter.lora import trainable
from shirg_train.keep_ratio import Policy
from shirg_train.loss import Nll
from shirg_train.trainer.config import OptimConfig
from shirg_train.trainer.distributed import World
from shirg_train.trainer.module import LossModule
from shirg_train.trainer.optimizer import build_adamw
from shirg_train.trainer.samples import MicroBatch

MOMENTS = ("exp_avg", "exp_avg_sq")


class Engine(Protocol):
    """Gradients and steps."""

    def forward(
        self, batch: MicroBatch, policy: Policy, *, draws: Tensor | None = None, clock: Clock | None = None
    ) -> Nll:
        """`LossModule.forward`."""
        ...

    def backward(self, total: Tensor, normaliser: float) -> None:
        """Add the gradient of `total / normaliser`; over ranks gradients are summed."""
        ...

    def step(self, lr_factor: float) -> float:
        """Clip, step with this share of the peak learning rates, forget gradients; the gradient's norm.

        Raises:
            FloatingPointError: the gradient is not finite; parameters are as they were.
        """
        ...

    def parameters(self) -> dict[str, Tensor]:
        """Full copies on the CPU of what is trained. All ranks call it."""
        ...

    def moments(self) -> dict[str, dict[str, Tensor]]:
        """Full copies on the CPU of Adam's state; empty before the first step. All ranks call it."""
        ...

    def load(self, parameters: Mapping[str, Tensor], moments: Moments) -> None:
        """Take over parameters and Adam's state. All ranks call it, before the first step."""
        ...

    def close(self) -> None:
        """Let go of the model."""
        ...


class TorchEngine:
    """AdamW on every rank; gradients are summed after the last micro-batch of a step."""

    def __init__(self, module: LossModule, optim: OptimConfig, world: World) -> None:
        self._module, self._optim, self._world = module.to(world.device), optim, world
        self._parameters = trainable(module.lavida)
        self._adamw = build_adamw(self._parameters, optim)

    def forward(
        self, batch: MicroBatch, policy: Policy, *, draws: Tensor | None = None, clock: Clock | None = None
    ) -> Nll:
        """See `Engine`."""
        nll: Nll = self._module(batch, policy, draws=draws, clock=clock)
        return nll

    def backward(self, total: Tensor, normaliser: float) -> None:
        """See `Engine`."""
        (total / normaliser).backward()

    def step(self, lr_factor: float) -> float:
        """See `Engine`."""
        if self._world.size > 1:
            self._sum_gradients()
        norm = nn.utils.clip_grad_norm_(self._parameters.values(), self._optim.max_grad_norm)
        check_norm(norm)
        set_lr(self._adamw, lr_factor)
        self._adamw.step()
        self._adamw.zero_grad()
        return float(norm)

    def parameters(self) -> dict[str, Tensor]:
        """See `Engine`."""
        return {name: p.detach().cpu().clone() for name, p in self._parameters.items()}

    def moments(self) -> dict[str, dict[str, Tensor]]:
        """See `Engine`."""
        states = {name: self._adamw.state[p] for name, p in self._parameters.items() if p in self._adamw.state}
        return {name: {k: v.detach().cpu().clone() for k, v in state.items()} for name, state in states.items()}

    def load(self, parameters: Mapping[str, Tensor], moments: Moments) -> None:
        """See `Engine`."""
        for name, p in self._parameters.items():
            p.data.copy_(parameters[name])
        for name, state in moments.items():
            p = self._parameters[name]
            # torch keeps a CPU step count beside moments on the parameter's device.
            self._adamw.state[p] = {
                k: v.clone() if k == "step" else v.to(p.device, copy=True) for k, v in state.items()
            }

    def close(self) -> None:
        """See `Engine`."""

    def _sum_gradients(self) -> None:
        gradients = [p.grad for p in self._parameters.values() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


def check_norm(norm: Tensor | float) -> None:
    """Stop before a gradient that is not finite reaches the parameters, and from there every later checkpoint.

    Raises:
        FloatingPointError: it is not.
    """
    if not math.isfinite(norm):
        raise FloatingPointError(f"the gradient's norm is {float(norm)}; the newest checkpoint is intact")


def set_lr(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to this share of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
