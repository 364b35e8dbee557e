"""Two optimisers: Muon for the matrices inside the transformer blocks and the projector, AdamW for everything else.

Muon is orthogonalised momentum, here scaled to AdamW's update size so that both share one learning rate; embeddings,
filters, norms and the aids' heads are no matrices it is meant for.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from shirg_lavida.model import LavidaModel
from shirg_train.micro.aids import Aids

BETAS = (0.9, 0.95)


def build_optimizers(
    model: LavidaModel, aids: Aids, *, weight_decay: float, train_tower: bool
) -> tuple[torch.optim.Optimizer, ...]:
    """Muon and AdamW over everything that learns; their learning rates are set by the loop."""
    model.tower.requires_grad_(train_tower)
    matrices = [p for p in _block_parameters(model) if p.ndim == 2 and p.requires_grad]
    chosen = {id(p) for p in matrices}
    rest = [p for p in (*model.parameters(), *aids.parameters()) if id(p) not in chosen and p.requires_grad]
    return (
        torch.optim.Muon(matrices, lr=1e-3, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=1e-3, betas=BETAS, weight_decay=weight_decay),
    )


def set_lr(optimizers: Iterable[torch.optim.Optimizer], lr: float) -> None:
    """Use one learning rate everywhere."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr


def _block_parameters(model: LavidaModel) -> Iterable[nn.Parameter]:
    for part in (model.tower.siglip.encoder, model.projector, model.backbone.blocks):
        yield from part.parameters()
