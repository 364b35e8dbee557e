"""The autoregressive twin of a LaViDa: transformers' LLaVA of the same shape, holding the very same weights.

LLaVA (arXiv 2304.08485) is a SigLIP tower, a two-layer projector and a Llama, or for Dream a Qwen2; LaViDa's parts have
their shapes, so its weights fit one to one. What differs is what is measured: the twin attends causally and writes one
token a forward pass, LaViDa attends both ways within the answer and settles several. Nothing is learned about quality.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, Qwen2Config

from shirg_core.clock import Now
from shirg_core.precision import default_dtype
from shirg_lavida.families.dream import QWEN2_BLOCK
from shirg_lavida.model import LavidaModel


class Greedy(NamedTuple):
    """An answer, the likeliest token at a time.

    Attributes:
        ids: `[1, L]` int64.
        prefill_ms: the first forward pass, which gives the first token.
        token_ms: every later one.
        answer_ms: all of it.
    """

    ids: Tensor
    prefill_ms: float
    token_ms: tuple[float, ...]
    answer_ms: float


def twin(model: LavidaModel) -> LlavaForConditionalGeneration:
    """The LLaVA that shares `model`'s tower, projector and language-model weights, on its device.

    Raises:
        ValueError: a projector that LLaVA does not have.
    """
    config = model.config
    if config.projector != "mlp2x_gelu":
        raise ValueError(f"LLaVA's projector is mlp2x_gelu, this model has {config.projector!r}")
    language = config.language
    text = (Qwen2Config if language.qkv_bias else LlamaConfig)(
        hidden_size=language.d_model,
        intermediate_size=language.mlp_hidden_size,
        num_hidden_layers=language.n_layers,
        num_attention_heads=language.n_heads,
        num_key_value_heads=language.kv_heads,
        vocab_size=language.vocab_size,
        max_position_embeddings=language.max_sequence_length,
        rms_norm_eps=language.rms_norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": language.rope_theta},
        tie_word_embeddings=language.weight_tying,
        bos_token_id=None,
        eos_token_id=None,
    )
    vision = config.vision.to_transformers(num_hidden_layers=config.vision.num_hidden_layers - 1)
    whole = LlavaConfig(
        vision_config=vision,
        text_config=text,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        projector_hidden_act="gelu",
        image_token_index=config.mask_token_id,
        tie_word_embeddings=language.weight_tying,
    )
    weights = _weights(model)
    # Made where it runs, so that tables that are no weights are there, too; its own weights are then let go.
    newline = model.image_newline
    with torch.random.fork_rng(), torch.device(newline.device), default_dtype(newline.dtype):
        made = LlavaForConditionalGeneration(whole)
    made.load_state_dict(weights, strict=True, assign=True)
    made.train(mode=False)
    made.requires_grad_(requires_grad=False)
    return made


@torch.no_grad()
def greedy(llava: LlavaForConditionalGeneration, prefix: Tensor, answer_tokens: int, now: Now) -> Greedy:
    """Answer after `prefix [1, P, d]` with a key-value cache.

    An end-of-text token does not stop it, so that all answers have length L. A plain loop, because `generate` spends
    time on options that are not used here.
    """
    start = now()
    cache = DynamicCache(config=llava.config.get_text_config())
    given = {"past_key_values": cache, "use_cache": True, "logits_to_keep": 1}
    ids = [_likeliest(llava(inputs_embeds=prefix, **given).logits)]
    laps = [now()]
    while len(ids) < answer_tokens:
        ids.append(_likeliest(llava(input_ids=ids[-1], **given).logits))
        laps.append(now())
    token_ms = tuple(after - before for before, after in pairwise(laps))
    return Greedy(torch.cat(ids, dim=1), laps[0] - start, token_ms, laps[-1] - start)


def _likeliest(logits: Tensor) -> Tensor:
    return logits[:, -1].argmax(dim=-1, keepdim=True)


def _weights(model: LavidaModel) -> dict[str, Tensor]:
    """LLaVA's names → LaViDa's tensors; the newline has no counterpart."""
    weights: dict[str, Tensor] = {}
    weights |= {f"model.vision_tower.{name}": weight for name, weight in model.tower.siglip.named_parameters()}
    for name, layer in (("linear_1", "0"), ("linear_2", "2")):
        for kind in ("weight", "bias"):
            weights[f"model.multi_modal_projector.{name}.{kind}"] = model.projector.get_parameter(f"{layer}.{kind}")
    backbone = model.backbone
    for number in range(backbone.n_layers):
        for name, weight in backbone.get_submodule(f"blocks.{number}").named_parameters():
            ours, _, kind = name.rpartition(".")
            weights[f"model.language_model.layers.{number}.{QWEN2_BLOCK[ours]}.{kind}"] = weight
    weights["model.language_model.embed_tokens.weight"] = backbone.wte.weight
    weights["model.language_model.norm.weight"] = backbone.ln_f.weight
    weights["lm_head.weight"] = backbone.wte.weight if backbone.ff_out is None else backbone.ff_out.weight
    return weights
