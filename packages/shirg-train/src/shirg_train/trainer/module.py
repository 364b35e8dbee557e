"""The model as one module whose forward is the loss, so that ZeRO-3's hooks see every parameter it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn

from shirg_core.clock import Clock
from shirg_lavida.model import LavidaModel
from shirg_lavida.prompt.join import Positions, image_owners
from shirg_lavida.vision.views import plan_views
from shirg_train.adapter.dropout import row_keys, seed_dropout, stacked_keys
from shirg_train.keep_ratio import Policy
from shirg_train.loss import Nll, diffusion_nll
from shirg_train.trainer.config import LossConfig
from shirg_train.trainer.samples import MicroBatch
from shirg_train.validation import validation_nll


class LossModule(nn.Module):
    """A LaViDa with an adapter, and how its loss is made.

    Its dropout becomes one that draws by row; what is trained stays float32 and is computed in `precision`.
    """

    def __init__(
        self,
        lavida: LavidaModel,
        loss: LossConfig,
        precision: torch.dtype,
        *,
        recompute: bool,
        positions: Positions = "packed",
    ) -> None:
        super().__init__()
        self.lavida = lavida
        self.loss = loss
        self.precision = precision
        self.recompute = recompute
        self.positions: Positions = positions
        seed_dropout(lavida)

    def forward(
        self, batch: MicroBatch, policy: Policy, *, draws: Tensor | None = None, clock: Clock | None = None
    ) -> Nll:
        """Training loss of a micro-batch; with `draws [T, B, L]`, its validation NLL instead.

        A `clock` times the stages `tower` and `select`.
        """
        lavida, ids = self.lavida, batch.answer_ids
        # Dropout is for training: validation compares models, not draws.
        with self._autocast(ids.device), _mode(lavida, training=draws is None), row_keys(batch.keys):
            with row_keys(self._view_keys(batch, policy)):
                prefix = lavida.embed_prompt(
                    batch.prompts,
                    batch.images,
                    question=batch.questions,
                    selector=policy.selector,
                    views=policy.views,
                    select_on=policy.select_on,
                    tower_attention=policy.tower_attention,
                    positions=self.positions,
                    clock=clock,
                )
            mask_id, attention = lavida.config.mask_token_id, self.loss.attention
            if draws is not None:
                return validation_nll(
                    lavida.backbone,
                    prefix,
                    ids,
                    batch.noise.answer,
                    mask_id=mask_id,
                    draws=draws,
                    attention=attention,
                )
            return diffusion_nll(
                lavida.backbone,
                prefix,
                ids,
                batch.noise,
                mask_id=mask_id,
                complement=self.loss.complement,
                weighting=self.loss.weighting,
                attention=attention,
                recompute=self.recompute,
            )

    def _view_keys(self, batch: MicroBatch, policy: Policy) -> Tensor | None:
        """The tower sees all views of all images as one batch; each row's views, in order, get keys from the row's."""
        if batch.keys is None or not batch.images:
            return None
        counts, owners = [0] * len(batch.prompts), image_owners(batch.prompts, len(batch.images))
        selecting = policy.selector is not None
        for row, image in zip(owners, batch.images, strict=True):
            counts[row] += plan_views(self.lavida.config, image.size, policy.views, selecting=selecting).n_views
        return torch.cat([stacked_keys(batch.keys[row, None], n) for row, n in enumerate(counts)])

    def _autocast(self, device: torch.device) -> AbstractContextManager[object]:
        # Casts the trained float32 parameters on use; the frozen ones are in `precision` already.
        return torch.autocast(device.type, self.precision, enabled=self.precision != torch.float32)


@contextmanager
def _mode(module: nn.Module, *, training: bool) -> Iterator[None]:
    before = module.training
    module.train(training)
    try:
        yield
    finally:
        module.train(before)
