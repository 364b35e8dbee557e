"""The same on DeepSpeed, ZeRO stages 0 to 3 (arXiv 1910.02054).

DeepSpeed averages gradients over ranks, so losses are multiplied by the number of ranks to get the sum. Only what is
trained is float32; DeepSpeed's own mixed precision stays off, since casting is `LossModule`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import deepspeed
import torch
from deepspeed.utils import (
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
)
from torch import Tensor

from shirg_core.clock import Clock
from shirg_train.adapter.growth import Moments
from shirg_train.adapter.lora import trainable
from shirg_train.keep_ratio import Policy
from shirg_train.loss import Nll
from shirg_train.trainer.config import BatchConfig, EngineConfig, OptimConfig
from shirg_train.trainer.distributed import World
from shirg_train.trainer.engine import MOMENTS, check_norm, set_lr
from shirg_train.trainer.module import LossModule
from shirg_train.trainer.optimizer import build_adamw
from shirg_train.trainer.samples import MicroBatch


class DeepSpeedEngine:
    """A DeepSpeed engine around a `LossModule`."""

    def __init__(
        self, module: LossModule, optim: OptimConfig, batch: BatchConfig, engine: EngineConfig, world: World
    ) -> None:
        if world.device.type == "cpu":
            # Compiling this communication kernel takes a minute, and gloo serves CPU ranks well.
            deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        self._world, self._stage = world, engine.zero_stage
        self._names = trainable(module.lavida)
        self._engine, *_ = deepspeed.initialize(
            model=module,
            optimizer=build_adamw(self._names, optim),
            config=deepspeed_config(optim, batch, engine, world),
            dist_init_required=False,
        )
        if self._stage == 3:
            # Used by methods of modules whose own forward, where the hooks are, never runs.
            for name, parameter in module.lavida.named_parameters():
                if name in ("image_newline", "backbone.ff_out.weight", "backbone.wte.weight"):
                    deepspeed.zero.register_external_parameter(module, parameter)

    def forward(
        self, batch: MicroBatch, policy: Policy, *, draws: Tensor | None = None, clock: Clock | None = None
    ) -> Nll:
        """See `Engine`.

        Raises:
            ValueError: a micro-batch without images at stage 3, where all ranks must run the same modules.
        """
        if self._stage == 3 and not batch.images:
            raise ValueError("ZeRO-3 needs an image in every micro-batch: this one has none, use another stage")
        nll: Nll = self._engine(batch, policy, draws=draws, clock=clock)
        return nll

    def backward(self, total: Tensor, normaliser: float) -> None:
        """See `Engine`."""
        self._engine.backward(total * (self._world.size / normaliser), scale_wrt_gas=False)
        # DeepSpeed counts micro-batches by calls of step and steps at the last one, in `step` below.
        if not self._engine.is_gradient_accumulation_boundary():
            self._engine.step()

    def step(self, lr_factor: float) -> float:
        """See `Engine`."""
        set_lr(self._engine.optimizer, lr_factor)
        # Stage 0 clips without telling the norm; its gradients are whole and already summed here.
        own = [p.grad for p in self._names.values() if p.grad is not None] if self._stage == 0 else []
        norm = torch.nn.utils.get_total_norm(own) if self._stage == 0 else None
        self._engine.step()
        taken = float(self._engine.get_global_grad_norm() if norm is None else norm)
        check_norm(taken)
        return taken

    def parameters(self) -> dict[str, Tensor]:
        """See `Engine`."""
        return {name: self._full(p).detach().cpu().clone() for name, p in self._names.items()}

    def moments(self) -> dict[str, dict[str, Tensor]]:
        """See `Engine`."""
        steps = [state["step"] for state in self._adam_states() if "step" in state]
        if not steps:
            return {}
        return {
            name: {"step": steps[0].cpu().clone(), **{key: self._moment(p, key).cpu().clone() for key in MOMENTS}}
            for name, p in self._names.items()
        }

    def load(self, parameters: Mapping[str, Tensor], moments: Moments) -> None:
        """See `Engine`."""
        for name, p in self._names.items():
            self._set(p, parameters[name])
        if not moments:
            return
        self._make_states()
        for name, p in self._names.items():
            for key in MOMENTS:
                value = moments[name][key].to(self._world.device)
                if self._stage == 0:
                    self._engine.optimizer.state[p][key].copy_(value)
                else:
                    safe_set_full_optimizer_state(p, value, key)
        for state in self._adam_states():
            state["step"].copy_(next(iter(moments.values()))["step"])

    def close(self) -> None:
        """See `Engine`."""
        self._engine.destroy()

    def _adam_states(self) -> list[dict[str, Tensor]]:
        return list(self._engine.optimizer.state.values())

    def _make_states(self) -> None:
        """Sharded moments exist only after a step: take one with zero gradients and a learning rate of zero."""
        for _ in range(self._engine.gradient_accumulation_steps()):
            with deepspeed.zero.GatheredParameters(list(self._names.values()), enabled=self._stage == 3):
                self.backward(torch.stack([(p * 0).sum() for p in self._names.values()]).sum(), 1.0)
        self.step(0.0)

    def _full(self, p: torch.nn.Parameter) -> Tensor:
        return p if self._stage == 0 else safe_get_full_fp32_param(p)

    def _moment(self, p: torch.nn.Parameter, key: str) -> Tensor:
        value: Tensor = (
            self._engine.optimizer.state[p][key] if self._stage == 0 else safe_get_full_optimizer_state(p, key)
        )
        return value

    def _set(self, p: torch.nn.Parameter, value: Tensor) -> None:
        if self._stage == 3:
            with deepspeed.zero.GatheredParameters([p], modifier_rank=0):
                p.data.copy_(value)
        else:
            p.data.copy_(value)
        if self._stage != 0:
            safe_set_full_fp32_param(p, value.to(self._world.device))


def deepspeed_config(optim: OptimConfig, batch: BatchConfig, engine: EngineConfig, world: World) -> dict[str, Any]:
    """DeepSpeed's configuration for a recipe."""
    zero: dict[str, Any] = {"stage": engine.zero_stage}
    if engine.offload:
        zero["offload_optimizer"] = {"device": "cpu"}
        if engine.zero_stage == 3:
            zero["offload_param"] = {"device": "cpu"}
    return {
        "train_batch_size": batch.size,
        "train_micro_batch_size_per_gpu": batch.micro,
        "gradient_accumulation_steps": batch.accumulation(world.size),
        "gradient_clipping": optim.max_grad_norm,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
    }
