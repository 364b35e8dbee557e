"""Two optimisers: Muon for matrices inside transformer blocks, projector and compressor, AdamW for everything else.

Muon is orthogonalised momentum, here scaled to AdamW's update size so that both share one learning rate; embeddings,
filters, norms and the auxiliary heads are no matrices it is meant for.

`torch.optim.Muon` iterates in bfloat16, one matrix after the other. For small matrices on a CPU without bfloat16
instructions that is a quarter of a training step; here all matrices of one shape are iterated at once in float32.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from shirg_lavida.model import LavidaModel
from shirg_train.testbed.micro.auxiliary import AuxiliaryHeads

BETAS = (0.9, 0.95)
MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
EPS = 1e-7
RMS = 0.2
"""Root mean square of an update at learning rate 1, as AdamW's usually is."""


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay; the update of `torch.optim.Muon(match_rms_adamw)`.

    Args:
        params: matrices.
        lr: learning rate.
        weight_decay: times `lr`, taken off every step.

    Raises:
        ValueError: a parameter that is no matrix.

    Source:
        Jordan et al. 2024 (Muon); Liu et al. 2025, 2502.16982 (scale of the update).
    """

    def __init__(self, params: Iterable[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        shapes = [tuple(p.shape) for group in self.param_groups for p in group["params"] if p.ndim != 2]
        if shapes:
            raise ValueError(f"Muon optimises matrices, got parameters of shape {shapes}")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step; `closure` is not supported."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape].append(parameter)
            for shape, parameters in alike.items():
                scale = group["lr"] * RMS * max(shape) ** 0.5
                updates = orthogonalize(torch.stack([self._momentum(p) for p in parameters]))
                for parameter, update in zip(parameters, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=scale)

    def _momentum(self, parameter: nn.Parameter) -> Tensor:
        state = self.state[parameter]
        gradient = parameter.grad
        assert gradient is not None
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        buffer: Tensor = state["momentum_buffer"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(buffer, MOMENTUM)


def orthogonalize(matrices: Tensor) -> Tensor:
    """Pull all singular values of `matrices [n, R, C]` towards 1 (between about 0.7 and 1.2), in float32."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.float().mT if tall else matrices.float()
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(EPS)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def build_optimizers(
    model: LavidaModel,
    heads: AuxiliaryHeads,
    compressor: nn.Module | None = None,
    *,
    weight_decay: float,
    train_tower: bool,
) -> tuple[torch.optim.Optimizer, ...]:
    """Muon and AdamW over everything that learns; their learning rates are set by the loop."""
    model.tower.requires_grad_(train_tower)
    matrices = [p for p in _block_parameters(model, compressor) if p.ndim == 2 and p.requires_grad]
    chosen = {id(p) for p in matrices}
    rest = [
        p
        for part in (model, heads, compressor)
        if part is not None
        for p in part.parameters()
        if id(p) not in chosen and p.requires_grad
    ]
    return (
        Muon(matrices, lr=1e-3, weight_decay=weight_decay),
        torch.optim.AdamW(rest, lr=1e-3, betas=BETAS, weight_decay=weight_decay),
    )


def set_lr(optimizers: Iterable[torch.optim.Optimizer], lr: float) -> None:
    """Use one learning rate everywhere."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr


def _block_parameters(model: LavidaModel, compressor: nn.Module | None) -> Iterable[nn.Parameter]:
    for part in (model.tower.siglip.encoder, model.projector, model.backbone.blocks):
        yield from part.parameters()
    for module in () if compressor is None else compressor.modules():
        if isinstance(module, nn.Linear | nn.MultiheadAttention):
            yield from module.parameters(recurse=False)
