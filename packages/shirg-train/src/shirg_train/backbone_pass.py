"""A differentiable pass through the backbone that can trade time for memory.

With `recompute`, each block keeps only its input `[B, S, d]` and runs again in the backward pass: activations cost
n_layers · B·S·d instead of roughly 16 times that, for one more forward.
"""

from __future__ import annotations

from torch import Tensor
from torch.utils.checkpoint import checkpoint

from shirg_lavida.language.attention import attend
from shirg_lavida.language.backbone import Backbone, Block
from shirg_train.adapter.dropout import recompute_contexts


def run_backbone(
    backbone: Backbone, x: Tensor, positions: Tensor, allowed: Tensor | None, *, recompute: bool = False
) -> Tensor:
    """`x [B, S, d]` → hidden `[B, S, d]`, the same with and without `recompute`; see `DiffusionBackbone.forward`."""
    if not recompute:
        return backbone.forward(x, positions, allowed)
    rotary = backbone.rotary(positions)
    for block in backbone.blocks:
        x = checkpoint(_run_block, block, x, rotary, allowed, use_reentrant=False, context_fn=recompute_contexts)
    hidden: Tensor = backbone.ln_f(x)
    return hidden


def _run_block(block: Block, x: Tensor, rotary: tuple[Tensor, Tensor], allowed: Tensor | None) -> Tensor:
    q, k, v = block.project(x, rotary)
    return block.finish(x, attend(q, k, v, allowed))
