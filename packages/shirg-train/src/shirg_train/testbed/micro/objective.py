"""The loss of one step: masked-diffusion NLL of answers, fully masked and at a random time, plus auxiliary losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_lavida.model import LavidaModel
from shirg_train.keep_ratio import Policy
from shirg_train.noise import forward_process
from shirg_train.testbed.micro.answers import answer_pass
from shirg_train.testbed.micro.auxiliary import AuxiliaryHeads, owner_loss, pointer_losses
from shirg_train.testbed.micro.batches import MicroBatch
from shirg_train.testbed.micro.config import AuxiliaryLosses, StageConfig
from shirg_train.testbed.micro.visual import Visual, on_page, tower_output, visual_rows


def objective(
    model: LavidaModel,
    heads: AuxiliaryHeads,
    batch: MicroBatch,
    stage: StageConfig,
    policy: Policy,
    *,
    labels: Tensor,
    unknown: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """All losses by name; `loss` is their weighted sum.

    `labels` are tokens `[labels]`, `unknown` is that of what belongs to no fact.
    """
    weights = stage.aids
    seen = tower_output(model, batch.images, train_tower=stage.train_tower, attention=policy.tower_attention)
    features = seen.features
    losses: dict[str, Tensor] = {}
    if stage.train_tower and weights.chars + weights.places > 0:
        losses["chars"], losses["places"] = heads.glyphs(on_page(model, features), batch, weights.cut)
    # Print is legible in the crops, and its truth is known patch by patch of the page.
    projected = on_page(model, model.projector(features))
    if weights.values > 0:
        losses["values"] = heads.characters(projected, batch)
    if weights.owners > 0:
        codes = model.backbone.wte.weight if heads.codes is None else heads.codes
        losses["owners"] = owner_loss(projected, batch.owners, codes, labels, unknown)
    if stage.answers:
        text: Sequence[Tensor] | Tensor = ()
        attention = seen.attention
        if stage.layout == "joined":
            questions = batch.answers.shape[1]
            batch = one_question_a_row(batch)
            features = features.repeat_interleave(questions, 0)
            attention = None if attention is None else attention.repeat_interleave(questions, 0)
            text = model.backbone.embed(batch.questions[:, 0])
        visual = visual_rows(model, batch.images, features, policy, text, attention)
        losses |= answer_losses(model, batch, stage, visual, points=not policy.method.merges, generator=generator)
    return {**losses, "loss": weighted_sum(losses, weights)}


def weighted_sum(losses: Mapping[str, Tensor], weights: AuxiliaryLosses) -> Tensor:
    """Losses that have no weight there count once."""
    return torch.stack([getattr(weights, name, 1.0) * loss for name, loss in losses.items()]).sum()


def one_question_a_row(batch: MicroBatch) -> MicroBatch:
    """The same questions, each in a row of its own with its page: features are shared, prefixes are not.

    What patches show stays per page.
    """
    return replace(
        batch,
        images=batch.images.repeat_interleave(batch.answers.shape[1], 0),
        tails=batch.tails.flatten(0, 1)[:, None],
        questions=batch.questions.flatten(0, 1)[:, None],
        answers=batch.answers.flatten(0, 1)[:, None],
        pointers=batch.pointers.flatten(0, 1)[:, None],
    )


def answer_losses(
    model: LavidaModel,
    batch: MicroBatch,
    stage: StageConfig,
    visual: Visual,
    *,
    points: bool,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """NLL of the answers, and the pointer losses.

    `points`: kept tokens stand for single patches, so that the pointer loss means something.
    """
    # Each answer twice: fully masked, and at a random time.
    answers = batch.answers
    everything = torch.ones_like(answers, dtype=torch.bool)
    noise = forward_process(everything.flatten(0, 1), generator=generator)
    masked = torch.stack([everything, noise.masked.view_as(answers)], dim=2)
    targets = answers[:, :, None].expand_as(masked)
    samples = targets.masked_fill(masked, model.config.mask_token_id)
    joined = stage.layout == "joined"
    out = answer_pass(
        model,
        visual.rows,
        visual.valid,
        batch.head,
        batch.tails,
        samples,
        joined=joined,
        weights=visual.weights,
    )
    losses = {"nll": F.cross_entropy(out.logits[masked].float(), targets[masked])}
    if points:
        losses["pointer"], losses["label_pointer"] = pointer_losses(out, visual, batch)
    return losses
