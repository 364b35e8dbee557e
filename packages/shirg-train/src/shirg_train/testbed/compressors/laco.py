"""LaCo: compression inside the tower; its later layers see a quarter of the tokens.

    y_c = MLP([x_i : i ∈ c]) + 1/r² · Σ_{i ∈ c} x_i        x: after layer ⌈L/4⌉; c: an r × r square (pixel-unshuffle)

Later layers of the tower run on y, then the projector. The MLP's last layer begins at zero: it starts as pooling inside
the tower. The paper trains the tower with it; here the tower is frozen, as for all that it is compared with, and never
learned to read merged tokens: LaCo is handicapped.

Exact K: N/r², fixed by the grid. Reads no question.

Source:
    Liu et al. 2025, arXiv 2507.02279.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from shirg_lavida.model import LavidaModel
from shirg_train.testbed.compressors.contract import Compressed, Compressor
from shirg_train.testbed.compressors.grid import embed_patches, mlp, on_squares, page_layout, squares, tower_layers
from shirg_train.testbed.micro.batches import MicroBatch

SIDE, DEPTH = 2, 0.25


class LayerCompression(Compressor):
    """See the module."""

    method = "laco"

    def __init__(self, model: LavidaModel) -> None:
        super().__init__(model)
        width = model.config.vision.hidden_size
        self.unshuffled = mlp(SIDE**2 * width, width, width)
        last = self.unshuffled[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, model: LavidaModel, batch: MicroBatch, k: int | None, done: float | None = None) -> Compressed:
        """See `Compressor`."""
        del k, done
        layers = tower_layers(model)
        before = math.ceil(len(layers) * DEPTH)
        hidden = embed_patches(model, batch.images)
        with torch.no_grad():
            for layer in layers[:before]:
                hidden = layer(hidden)
        inside = squares(hidden, SIDE)
        hidden = self.unshuffled(inside.flatten(2)) + inside.mean(dim=2)
        for layer in layers[before:]:
            hidden = layer(hidden)
        return Compressed(on_squares(model.projector(hidden), page_layout(model), SIDE))
