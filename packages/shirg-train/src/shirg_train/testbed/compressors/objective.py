"""The loss of one step with a learned compressor: that of the answers, and the compressor's own."""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.budget import Budget
from shirg_core.methods import METHODS
from shirg_lavida.model import LavidaModel
from shirg_train.testbed.compressors.contract import Compressor
from shirg_train.testbed.compressors.rows import compress, compressed_rows
from shirg_train.testbed.micro.auxiliary import owner_loss
from shirg_train.testbed.micro.batches import MicroBatch
from shirg_train.testbed.micro.config import StageConfig
from shirg_train.testbed.micro.objective import answer_losses, one_question_a_row, weighted_sum


def compressed_objective(
    model: LavidaModel,
    compressor: Compressor,
    batch: MicroBatch,
    stage: StageConfig,
    budget: Budget | None,
    *,
    done: float,
    labels: Tensor,
    unknown: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """All losses by name; `loss` is their weighted sum.

    `labels` are tokens `[labels]`, `unknown` is that of what belongs to no fact, `done` the share of the stage's
    steps.
    """
    compressed = compress(model, compressor, batch, budget, done)
    losses = dict(compressed.losses)
    if stage.aids.owners > 0 and compressed.projected is not None:
        words = model.backbone.wte.weight
        losses["owners"] = owner_loss(compressed.projected, batch.owners, words, labels, unknown)
    visual = compressed_rows(model, compressed)
    points = not METHODS[compressor.method].merges
    rows = one_question_a_row(batch)
    losses |= answer_losses(model, rows, stage, visual, points=points, generator=generator)
    return {**losses, "loss": weighted_sum(losses, stage.aids)}
