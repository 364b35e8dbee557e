"""HiRes-LLaVA's self-mining sampler (SMS): pooled features ask the features that they were pooled from.

    z_c = projector(Attention(q = mean_{i ∈ c} x_i, k = v = {x_i : i ∈ c}))        c: an s × s square of the grid

Values and output begin as the identity, so that it starts near pooling. The MLP behind is the model's own projector.

Exact K: N/s², fixed by the grid. Reads no question.

Source:
    Huang et al. 2024, arXiv 2407.08706.
"""

from __future__ import annotations

from torch import nn

from shirg_lavida.model import LavidaModel
from shirg_train.testbed.compressors.contract import Compressed, Compressor
from shirg_train.testbed.compressors.grid import SquareAttention, on_squares, page_layout, squares
from shirg_train.testbed.micro.batches import MicroBatch
from shirg_train.testbed.micro.visual import tower_features

SIDE, HEADS = 2, 8


class SelfMiningSampler(Compressor):
    """See the module."""

    method = "sms"

    def __init__(self, model: LavidaModel) -> None:
        super().__init__(model)
        self.attention = SquareAttention(model.config.vision.hidden_size, HEADS)
        for linear in (self.attention.value, self.attention.out):
            nn.init.eye_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, model: LavidaModel, batch: MicroBatch, k: int | None, done: float | None = None) -> Compressed:
        """See `Compressor`."""
        del k, done
        features = tower_features(model, batch.images)
        inside = squares(features, SIDE)
        mined = self.attention(inside.mean(dim=2), inside, inside)
        kept = model.projector(mined)
        return Compressed(on_squares(kept, page_layout(model), SIDE), projected=model.projector(features))
