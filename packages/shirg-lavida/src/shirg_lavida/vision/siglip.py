"""SigLIP's vision encoder, under transformers' parameter names.

Written out because importing transformers' model classes takes longer than everything else `shirg ask` does; a test
holds it to `transformers.SiglipVisionModel`. Fresh weights are drawn as SigLIP's are.

Source:
    Zhai et al. 2023, arXiv 2303.15343.

V: views, S: their side in pixels, T: tokens of each, D: channels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shirg_core.checks import check_choice
from shirg_lavida.vision.config import VisionConfig

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "gelu": F.gelu,
}


class Siglip(nn.Module):
    """Embedding, layers and the final norm, which LaViDa's checkpoints carry and its tower does not apply.

    Args:
        config: sizes of the parts.
        num_hidden_layers: layers to build.
    """

    def __init__(self, config: VisionConfig, *, num_hidden_layers: int) -> None:
        super().__init__()
        self.embeddings = SiglipEmbeddings(config)
        self.encoder = SiglipEncoder(config, num_hidden_layers)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)


class SiglipEmbeddings(nn.Module):
    """Patches as tokens, with learned positions."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        size, stride = config.hidden_size, config.patch_size
        self.side = config.side
        self.patch_embedding = nn.Conv2d(3, size, kernel_size=stride, stride=stride)
        self.position_embedding = nn.Embedding(self.side**2, size)
        if self.patch_embedding.bias is not None:
            nn.init.zeros_(self.patch_embedding.bias)
        nn.init.trunc_normal_(self.patch_embedding.weight, std=(3 * stride**2) ** -0.5)
        nn.init.normal_(self.position_embedding.weight, std=size**-0.5)

    def forward(self, pixels: Tensor) -> Tensor:
        """`[V, 3, S, S]` → `[V, T, D]`; for a side other than the tower's, positions are interpolated bicubically."""
        patches: Tensor = self.patch_embedding(pixels)
        positions = self.position_embedding.weight
        if patches.shape[-2:] != (self.side, self.side):
            # In float32 at least: on a CPU a lower precision also rounds the weights of the interpolation.
            precise = positions.to(torch.promote_types(positions.dtype, torch.float32))
            grid = precise.unflatten(0, (self.side, self.side)).permute(2, 0, 1)[None]
            grid = F.interpolate(grid, size=patches.shape[-2:], mode="bicubic", align_corners=False)
            positions = grid[0].flatten(1).T.to(positions.dtype)
        return patches.flatten(2).transpose(1, 2) + positions


class SiglipAttention(nn.Module):
    """Attention of every token of a view to every other.

    Raises:
        ValueError: channels that the heads do not divide.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        size, heads = config.hidden_size, config.num_attention_heads
        if size % heads:
            raise ValueError(f"hidden_size {size} is not a multiple of num_attention_heads {heads}")
        self.num_heads, self.head_dim = heads, size // heads
        self.scale = self.head_dim**-0.5
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (_linear(size, size) for _ in range(4))

    def heads(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys `[V, H, T, d]` of `hidden [V, T, D]`."""
        return self._split(self.q_proj(hidden)), self._split(self.k_proj(hidden))

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[V, T, D]` → `[V, T, D]`."""
        query, key = self.heads(hidden)
        value = self._split(self.v_proj(hidden))
        mixed = F.scaled_dot_product_attention(query, key, value, scale=self.scale)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


class SiglipMLP(nn.Module):
    """Two linears and an activation.

    Raises:
        ValueError: an activation that SigLIP models do not use.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        check_choice("hidden_act", config.hidden_act, ACTIVATIONS)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.fc1 = _linear(config.hidden_size, config.intermediate_size, bias_std=1e-6)
        self.fc2 = _linear(config.intermediate_size, config.hidden_size, bias_std=1e-6)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[V, T, D]` → `[V, T, D]`."""
        out: Tensor = self.fc2(self.activation(self.fc1(hidden)))
        return out


class SiglipLayer(nn.Module):
    """Attention, then the MLP, each after a norm and with a residual connection."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.self_attn = SiglipAttention(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = SiglipMLP(config)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[V, T, D]` → `[V, T, D]`."""
        hidden = hidden + self.self_attn(self.layer_norm1(hidden))
        out: Tensor = hidden + self.mlp(self.layer_norm2(hidden))
        return out


class SiglipEncoder(nn.Module):
    """The stack of layers; LaViDa's tower walks through it itself."""

    def __init__(self, config: VisionConfig, num_hidden_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SiglipLayer(config) for _ in range(num_hidden_layers))


def _linear(inputs: int, outputs: int, *, bias_std: float = 0.0) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.normal_(linear.bias, std=bias_std)
    return linear
