"""A fresh micro LaViDa: the real classes in a small size, with weights that learn fast."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from shirg_core.precision import default_dtype
from shirg_lavida.checkpoint.recommended import CONFIG_KEY
from shirg_lavida.config import LavidaConfig, upstream_config
from shirg_lavida.language.backbone import Block
from shirg_lavida.language.config import BackboneConfig
from shirg_lavida.model import LavidaModel
from shirg_lavida.vision.config import VisionConfig
from shirg_train.seeds import derive
from shirg_train.testbed.micro.batches import ANSWER_LENGTH
from shirg_train.testbed.micro.config import ASK_METHOD, SizeConfig
from shirg_train.testbed.pages.tokenizer import SpecialIds

EMBEDDING_STD = 0.5
WAVES = (2.0, 0.25)
"""Highest and lowest frequency of a place's waves, radians per patch."""
PLACE_SCALE, SHARPNESS = 2.0, 2.5
"""Of places beside print, and of attention to a place: strong enough that print hardly disturbs the lookup."""
NEIGHBOURS = (((-1, 0), (1, 0), (0, 1)), ((0, -1),))
"""(down, right) of the patch that heads look at, at the start: above, below, right in layer 1, left in layer 2.

A figure that a patch's edge cuts in two is read only by looking above or below, and training alone did not find that:
one in five figures that lacked two rows stayed a guess, however long it took.
"""
ASK_BUDGET = 1 / 3
"""Of `shirg ask` with this model unless told otherwise."""


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


def raw_config(size: SizeConfig, tokenizer: Tokenizer, method: str = ASK_METHOD) -> dict[str, Any]:
    """An upstream `config.json`; `method` is what `shirg ask` takes unless told otherwise."""
    special = SpecialIds.of(tokenizer)
    own = {
        "system": None,
        "released_ids": False,
        "views": size.views,
        "method": method,
        "budget": ASK_BUDGET,
        "max_new_tokens": ANSWER_LENGTH,
    }
    language = BackboneConfig(
        d_model=size.width,
        n_heads=size.heads,
        n_layers=size.layers,
        mlp_hidden_size=size.mlp,
        vocab_size=tokenizer.get_vocab_size(),
        rope_theta=size.rope_theta,
    )
    raw = upstream_config(language, vision_config(size), mask_token_id=special.mask, eos_token_id=special.eos)
    return {**raw, CONFIG_KEY: own}


def build_model(size: SizeConfig, tokenizer: Tokenizer, seed: int, *, method: str = ASK_METHOD) -> LavidaModel:
    """A model with fresh float32 weights; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]), default_dtype(torch.float32):
        torch.manual_seed(derive(seed, "weights"))
        model = LavidaModel(LavidaConfig.from_checkpoint(raw_config(size, tokenizer, method), vision_config(size)))
        _start(model)
    return model


@torch.no_grad()
def _start(model: LavidaModel) -> None:
    config = model.config
    siglip, width = model.tower.siglip, config.vision.hidden_size
    head = width // config.vision.num_attention_heads
    # Places and print get channels of their own, so that attention can look for a place whatever is printed there.
    own = min(head, width // 2)
    kernel = siglip.embeddings.patch_embedding.weight
    kernel[:own] = 0
    kernel[own:] = paper_filters(width - own, kernel.shape[-1])
    places = PLACE_SCALE * grid_waves(config.vision.side, own)
    siglip.embeddings.position_embedding.weight.copy_(F.pad(places, (0, width - own)))
    for layer, offsets in zip(siglip.encoder.layers, NEIGHBOURS, strict=False):
        for number, offset in zip(range(config.vision.num_attention_heads), offsets, strict=False):
            query, key = lookup(own, *offset)
            rows = slice(number * head, number * head + own)
            for part, place in (("q_proj", query), ("k_proj", key)):
                weight = layer.get_parameter(f"self_attn.{part}.weight")
                weight[rows] = F.pad(SHARPNESS * place, (0, width - own))
    nn.init.normal_(model.backbone.wte.weight, std=EMBEDDING_STD)
    depth = math.sqrt(2 * config.language.n_layers)
    for block in model.backbone.blocks:
        if isinstance(block, Block):
            block.attn_out.weight.div_(depth)
            block.ff_out.weight.div_(depth)


def paper_filters(count: int, patch: int) -> Tensor:
    """`[count, 3, patch, patch]` grey filters, orthogonal but for their means, which are 0: they see ink, not paper."""
    grey = nn.init.orthogonal_(torch.empty(count, patch * patch, dtype=torch.float32)).view(count, 1, patch, patch)
    grey = grey - grey.mean(dim=(1, 2, 3), keepdim=True)
    return (grey / math.sqrt(3)).expand(-1, 3, -1, -1)


def frequencies(channels: int) -> Tensor:
    """`[channels // 4]` radians per patch, falling geometrically."""
    high, low = WAVES
    return torch.logspace(math.log10(high), math.log10(low), channels // 4, dtype=torch.float32)


def grid_waves(side: int, channels: int) -> Tensor:
    """`[side², channels]` sines and cosines of row, then column: where a patch lies, before anything is learnt."""
    angle = torch.arange(side)[:, None] * frequencies(channels)
    wave = torch.cat([angle.sin(), angle.cos()], dim=1)
    rows, columns = wave[:, None].expand(side, side, -1), wave[None].expand(side, side, -1)
    both = torch.cat([rows, columns], dim=2).reshape(side * side, -1)
    return F.pad(both, (0, channels - both.shape[1]))


def lookup(channels: int, down: int, right: int) -> tuple[Tensor, Tensor]:
    """Maps `[channels, channels]` of `grid_waves` to query and key; they match best `down` rows and `right` columns on.

    Source:
        Shifting a sum of waves is a rotation of every sine–cosine pair (Vaswani et al. 2017, section 3.5).
    """
    n = channels // 4
    query = torch.zeros(channels, channels, dtype=torch.float32)
    for axis, offset in enumerate((down, right)):
        turn = frequencies(channels) * offset
        sine, cosine = (torch.arange(n) + n * (2 * axis + part) for part in (0, 1))
        query[sine, sine], query[sine, cosine] = turn.cos(), turn.sin()
        query[cosine, sine], query[cosine, cosine] = -turn.sin(), turn.cos()
    return query, torch.eye(channels, dtype=torch.float32)
