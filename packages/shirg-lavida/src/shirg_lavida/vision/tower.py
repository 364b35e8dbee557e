"""LaViDa's vision tower: SigLIP without its last encoder layer, its final norm and its head.

`features = h_{L−1}`, the output of layer L−1 of L, before `post_layernorm` (which stays a parameter, because
checkpoints carry it, and is never applied). A view of another size than the tower was trained on gets bicubically
interpolated position embeddings.

Attention received, on request, of the last layer that runs: `a_i = mean_{head, j} softmax_i(q_j · k_i / √d_head)`.
One head is formed at a time, so that no more than one `[V, T, T]` map is alive.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from shirg_lavida.vision.config import VisionConfig
from shirg_lavida.vision.siglip import Siglip, SiglipLayer


class TowerOutput(NamedTuple):
    """What the tower says about V views of T tokens.

    Attributes:
        features: `[V, T, D]`.
        attention: `[V, T]` float32, attention each token received in the last layer, sums to 1 per view; None unless
        asked.
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

    def forward(self, pixels: Tensor, *, attention: bool = False) -> TowerOutput:
        """`pixels [V, 3, S, S]`, normalised; S need not divide by the patch size: trailing pixels are ignored.

        Raises:
            ValueError: not `[V, 3, S, S]`.
        """
        if pixels.dim() != 4 or pixels.shape[1] != 3 or pixels.shape[2] != pixels.shape[3]:
            raise ValueError(f"the tower takes square views [V, 3, S, S], got {list(pixels.shape)}")
        hidden: Tensor = self.siglip.embeddings(pixels)
        *earlier, last = (cast("SiglipLayer", layer) for layer in self.siglip.encoder.layers)
        for layer in earlier:
            hidden = layer(hidden)
        received = attention_received(last, hidden) if attention else None
        return TowerOutput(last(hidden), received)


@torch.no_grad()
def attention_received(layer: SiglipLayer, hidden: Tensor) -> Tensor:
    """Mean over heads and queries of the attention that `layer` pays to each token of its input `hidden [V, T, D]`."""
    block = layer.self_attn
    normed = layer.layer_norm1(hidden)
    queries = block.q_proj(normed).unflatten(-1, (block.num_heads, block.head_dim))
    keys = block.k_proj(normed).unflatten(-1, (block.num_heads, block.head_dim))
    received = hidden.new_zeros(hidden.shape[:2], dtype=torch.float32)
    for head in range(block.num_heads):
        logits = queries[:, :, head] @ keys[:, :, head].transpose(1, 2) * block.scale
        received += logits.softmax(dim=-1, dtype=torch.float32).mean(dim=1) / block.num_heads
    return received
