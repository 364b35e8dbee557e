"""A fresh micro LaViDa: the real classes in a small size, with weights that learn fast."""

from __future__ import annotations

import math
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from shirg_core.anyres import LAVIDA_CANVASES
from shirg_lavida.backbone import LladaBlock
from shirg_lavida.config import LAVIDA_CROP_PX, LavidaConfig
from shirg_lavida.model import LavidaModel
from shirg_lavida.recommended import CONFIG_KEY
from shirg_lavida.vision_config import VisionConfig
from shirg_train.micro.batches import ANSWER_LENGTH
from shirg_train.micro.config import SizeConfig
from shirg_train.micro.visual import VIEWS
from shirg_train.pages.tokenizer import SpecialIds
from shirg_train.seeds import derive

EMBEDDING_STD = 0.5
ASK_METHOD, ASK_BUDGET = "v2", 1 / 3
"""What `shirg ask` does with this model unless told otherwise."""


def vision_config(size: SizeConfig) -> VisionConfig:
    """The tower, with the layer that LaViDa drops."""
    return VisionConfig(
        hidden_size=size.tower_width,
        intermediate_size=size.tower_mlp,
        num_hidden_layers=size.tower_layers + 1,
        num_attention_heads=size.heads,
        image_size=size.image_size,
        patch_size=size.patch_size,
    )


def raw_config(size: SizeConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    """An upstream `config.json`."""
    special = SpecialIds.of(tokenizer)
    vocabulary = tokenizer.get_vocab_size()
    return {
        "model_type": "llava_llada",
        "architectures": ["LlavaLladaForMaskedDiffusion"],
        "d_model": size.width,
        "n_heads": size.heads,
        "n_kv_heads": size.heads,
        "n_layers": size.layers,
        "mlp_hidden_size": size.mlp,
        "vocab_size": vocabulary,
        "embedding_size": vocabulary,
        "max_sequence_length": 4096,
        "block_type": "llama",
        "activation_type": "silu",
        "layer_norm_type": "rms",
        "rope": True,
        "rope_theta": size.rope_theta,
        "rms_norm_eps": 1e-5,
        "weight_tying": False,
        "include_bias": False,
        "include_qkv_bias": False,
        "mask_token_id": special.mask,
        "eos_token_id": special.eos,
        "pad_token_id": special.eos,
        "image_aspect_ratio": "anyres",
        "image_grid_pinpoints": [
            [w // LAVIDA_CROP_PX * size.image_size, h // LAVIDA_CROP_PX * size.image_size] for w, h in LAVIDA_CANVASES
        ],
        "mm_patch_merge_type": "spatial_unpad",
        "mm_projector_type": "mlp2x_gelu",
        "mm_hidden_size": size.tower_width,
        "mm_spatial_pool_mode": "bilinear",
        CONFIG_KEY: {
            "system": None,
            "released_ids": False,
            "views": VIEWS,
            "method": ASK_METHOD,
            "budget": ASK_BUDGET,
            "max_new_tokens": ANSWER_LENGTH,
        },
    }


def build_model(size: SizeConfig, tokenizer: Tokenizer, seed: int) -> LavidaModel:
    """A model with fresh float32 weights; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        model = LavidaModel(LavidaConfig.from_checkpoint(raw_config(size, tokenizer), vision_config(size)))
        _start(model)
    return model


@torch.no_grad()
def _start(model: LavidaModel) -> None:
    config = model.config
    embeddings = model.tower.siglip.embeddings
    kernel = embeddings.patch_embedding.weight
    # Paper is nearly constant: filters without a mean see ink, not paper.
    kernel.copy_(torch.randn_like(kernel) / math.sqrt(kernel[0].numel()))
    kernel.sub_(kernel.mean(dim=(1, 2, 3), keepdim=True)).mul_(2.0)
    places = grid_waves(config.vision.side, config.vision.hidden_size)
    embeddings.position_embedding.weight.copy_(EMBEDDING_STD * places)
    nn.init.normal_(model.backbone.wte.weight, std=EMBEDDING_STD)
    depth = math.sqrt(2 * config.llada.n_layers)
    for block in model.backbone.blocks:
        if isinstance(block, LladaBlock):
            block.attn_out.weight.div_(depth)
            block.ff_out.weight.div_(depth)


def grid_waves(side: int, width: int) -> Tensor:
    """`[side², width]` sines and cosines of row, then column: where a patch lies, before anything is learnt."""
    quarter = width // 4
    frequency = 100.0 ** -(torch.arange(quarter) / quarter)
    angle = torch.arange(side)[:, None] * frequency
    wave = torch.cat([angle.sin(), angle.cos()], dim=1)
    rows, columns = wave[:, None].expand(side, side, -1), wave[None].expand(side, side, -1)
    return torch.cat([rows, columns], dim=2).reshape(side * side, -1)
