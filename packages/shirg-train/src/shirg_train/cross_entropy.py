"""Cross-entropy from the states below the language model's head, without ever holding all logits.

    z_i = W h_i,   CE_i = log Σ_v exp z_iv − z_i,y(i),   total = Σ_i w_i · CE_i
    ∂total/∂h_i = w_i Wᵀ (softmax(z_i) − e_y(i)),        ∂total/∂W = Σ_i w_i (softmax(z_i) − e_y(i)) h_iᵀ

Gradients are taken in the forward pass, a chunk of rows at a time, while the chunk's logits exist: no product with W is
computed twice, and what stays for the backward pass is `[N, d]` (arXiv 2410.10989, §3.2). A frozen W costs no gradient.

N: targets, d: width, V: vocabulary.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_LOGITS = 2**25
"""Logits of one chunk: 128 MiB in float32."""


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, weights: Tensor, *, chunk_logits: int = CHUNK_LOGITS
) -> Tensor:
    """The weighted sum above, scalar float32, differentiable once in `hidden` and `weight`.

    Args:
        hidden: `[N, d]`.
        weight: `[V, d]`, W.
        targets: `[N]` int64, y.
        weights: `[N]` float32, w; constants.
        chunk_logits: the most logits to hold at a time; at least one row's are.
    """
    wanted = (hidden.requires_grad, weight.requires_grad) if torch.is_grad_enabled() else (False, False)
    return cast("Tensor", _LinearCrossEntropy.apply(hidden, weight, targets, weights, chunk_logits, wanted))


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        weights: Tensor,
        chunk_logits: int,
        wanted: tuple[bool, bool],
    ) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        of_hidden = torch.empty_like(hidden) if wanted[0] else None
        of_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted[1] else None
        rows = max(1, chunk_logits // len(weight))
        for part in torch.arange(len(hidden)).split(rows):
            at = slice(int(part[0]), int(part[-1]) + 1)
            target, w = targets[at, None], weights[at, None]
            logits = F.linear(hidden[at], weight)
            dtype, logits = logits.dtype, logits.float()
            log_sum = logits.logsumexp(dim=-1, keepdim=True)
            total += (w * (log_sum - logits.gather(1, target))).sum()
            if not any(wanted):
                continue
            gradient = logits.sub_(log_sum).exp_().scatter_add_(1, target, -torch.ones_like(log_sum)).mul_(w).to(dtype)
            if of_hidden is not None:
                of_hidden[at] = gradient @ weight
            if of_weight is not None:
                of_weight += gradient.T @ hidden[at]
        ctx.save_for_backward(of_hidden, None if of_weight is None else of_weight.to(weight.dtype))
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        scaled = (None if g is None else g * upstream.to(g.dtype) for g in ctx.saved_tensors)
        return (*scaled, None, None, None, None)
