"""LaViDa's vision tower: SigLIP without its last encoder layer, its final norm and its head.

`features = h_{L−1}`, the output of layer L−1 of L, before `post_layernorm` (which stays a parameter, because
checkpoints carry it, and is never applied). A view of another size than the tower was trained on gets bicubically
interpolated position embeddings.

Attention received in one of its layers, on request: see `shirg_core.scores.heads`. SigLIP has no CLS token.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from shirg_core.scores.heads import PENULTIMATE, layer_index, received_from_heads
from shirg_lavida.vision.config import VisionConfig
from shirg_lavida.vision.siglip import Siglip, SiglipLayer


class TowerOutput(NamedTuple):
    """What the tower says about V views of T tokens.

    Attributes:
        features: `[V, T, D]`.
        attention: `[V, T]` float32, attention each token received in a layer, sums to 1 per view; None unless asked.
    """

    features: Tensor
    attention: Tensor | None


class SiglipTower(nn.Module):
    """SigLIP's patch embedding and its first L−1 encoder layers.

    Args:
        config: the tower as trained, L layers.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.siglip = Siglip(config, num_hidden_layers=config.num_hidden_layers - 1)

    def forward(self, pixels: Tensor, *, attention: bool = False, layer: int = PENULTIMATE) -> TowerOutput:
        """`pixels [V, 3, S, S]`, normalised; S need not divide by the patch size: trailing pixels are ignored.

        Args:
            pixels: as above.
            attention: whether to compute the attention received.
            layer: in which layer of the tower as trained, 0 … L − 2 or −L … −2, the last that runs.

        Raises:
            ValueError: not `[V, 3, S, S]`, or a layer that does not run.
        """
        if pixels.dim() != 4 or pixels.shape[1] != 3 or pixels.shape[2] != pixels.shape[3]:
            raise ValueError(f"the tower takes square views [V, 3, S, S], got {list(pixels.shape)}")
        observed = layer_index(layer, self.config.num_hidden_layers, runs=len(self.siglip.encoder.layers))
        hidden: Tensor = self.siglip.embeddings(pixels)
        received = None
        for index, each in enumerate(self.siglip.encoder.layers):
            block = cast("SiglipLayer", each)
            if attention and index == observed:
                received = _received(block, hidden)
            hidden = block(hidden)
        return TowerOutput(hidden, received)


@torch.no_grad()
def _received(layer: SiglipLayer, hidden: Tensor) -> Tensor:
    """`[V, T]` attention that each token of the layer's input `hidden [V, T, D]` receives in it."""
    query, key = layer.self_attn.heads(layer.layer_norm1(hidden))
    return received_from_heads(query, key, scale=layer.self_attn.scale).mean
