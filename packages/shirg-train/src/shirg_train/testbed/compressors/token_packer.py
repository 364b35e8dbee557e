"""TokenPacker: a coarse query per square, refined by the square's own tokens of several tower layers.

    q_c = LN(Linear(bilinear(x)_c))                                       x: the tower's last features, resized by 1/s
    k_i, v_i = LN(MLP_k([x¹; x²; x³]_i)), LN(MLP_v([x¹; x²; x³]_i))       layers of the tower, concatenated
    z_c = MLP(Attention(q_c, {k_i, v_i : i ∈ square c}))                  no residual connection

The paper takes layers 12, 16, 22 and 23 of 24; the micro tower has three, and all are taken. It is the projector: the
model's own is not used, so that it starts from fresh weights where the others start from trained ones.

Exact K: N/s², fixed by the grid. Reads no question.

Source:
    Li et al. 2024, arXiv 2407.02392.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from shirg_lavida.model import LavidaModel
from shirg_train.testbed.compressors.contract import Compressed, Compressor
from shirg_train.testbed.compressors.grid import (
    SquareAttention,
    layer_outputs,
    mlp,
    on_squares,
    page_layout,
    squares,
    tower_layers,
)
from shirg_train.testbed.micro.batches import MicroBatch

SIDE, HEADS = 2, 8


class TokenPacker(Compressor):
    """See the module."""

    method = "token-packer"

    def __init__(self, model: LavidaModel) -> None:
        super().__init__(model)
        width, out = model.config.vision.hidden_size, model.config.language.d_model
        layers = len(tower_layers(model)) * width
        self.query = nn.Linear(width, width, bias=False)
        self.key, self.value = (mlp(layers, width, width) for _ in range(2))
        self.query_norm, self.key_norm, self.value_norm = (nn.LayerNorm(width) for _ in range(3))
        self.attention = SquareAttention(width, HEADS)
        self.out = mlp(width, out, out)

    def forward(self, model: LavidaModel, batch: MicroBatch, k: int | None, done: float | None = None) -> Compressed:
        """See `Compressor`."""
        del k, done
        outputs = layer_outputs(model, batch.images)
        side = model.config.vision.side
        grid = outputs[-1].transpose(1, 2).unflatten(2, (side, side))
        coarse = F.interpolate(grid.float(), scale_factor=1 / SIDE, mode="bilinear").to(grid.dtype)
        query = self.query_norm(self.query(coarse.flatten(2).transpose(1, 2)))
        levels = squares(torch.cat(outputs, dim=-1), SIDE)
        keys, values = self.key_norm(self.key(levels)), self.value_norm(self.value(levels))
        packed = self.out(self.attention(query, keys, values))
        return Compressed(on_squares(packed, page_layout(model), SIDE))
