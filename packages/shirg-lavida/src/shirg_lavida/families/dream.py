"""LaViDa-Dream: Dream-7B (arXiv 2508.15487) behind LaViDa's views (arXiv 2505.16839).

Dream is Qwen2 made bidirectional: biases on q, k and v, and logits shifted by one, because its weights began as those
of an autoregressive model: the state of the token before predicts a token. Its sampler settles what `timesteps` say,
by the margin between the two likeliest tokens, in one block; see `shirg_lavida.sampling`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shirg_lavida.families.family import Family, check_supported, required
from shirg_lavida.families.turns import Turns
from shirg_lavida.language.config import BackboneConfig

_SUPPORTED: dict[str, tuple[tuple[Any, ...], Any]] = {
    "hidden_act": (("silu",), "silu"),
    "rope_scaling": ((None,), None),
    "use_sliding_window": ((False,), False),
}
_KEYS = {
    "wte": "model.embed_tokens",
    "ln_f": "model.norm",
    "ff_out": "lm_head",
}
QWEN2_BLOCK = {
    "attn_norm": "input_layernorm",
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "attn_out": "self_attn.o_proj",
    "ff_norm": "post_attention_layernorm",
    "ff_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "ff_out": "mlp.down_proj",
}
"""A block's name here → transformers' name in Qwen2 and Llama."""
CONTEXT = 131_072
"""Dream-7B's context, in tokens."""


def read_dream(config: Mapping[str, Any]) -> BackboneConfig:
    """Read Dream's keys. Those that are absent mean what upstream's defaults say.

    Raises:
        ValueError: a missing size, or a value that the backbone does not implement; the message names the key.
    """
    check_supported(config, _SUPPORTED)
    return BackboneConfig(
        d_model=required(config, "hidden_size"),
        n_heads=required(config, "num_attention_heads"),
        n_layers=required(config, "num_hidden_layers"),
        mlp_hidden_size=required(config, "intermediate_size"),
        vocab_size=required(config, "vocab_size"),
        max_sequence_length=config.get("max_position_embeddings", 32_768),
        n_kv_heads=config.get("num_key_value_heads"),
        rope_theta=config.get("rope_theta", 10_000.0),
        rms_norm_eps=config.get("rms_norm_eps", 1e-6),
        weight_tying=config.get("tie_word_embeddings", False),
        qkv_bias=True,
        shifted=True,
    )


def _write(language: BackboneConfig) -> dict[str, Any]:
    return {
        "hidden_size": language.d_model,
        "num_attention_heads": language.n_heads,
        "num_key_value_heads": language.kv_heads,
        "num_hidden_layers": language.n_layers,
        "intermediate_size": language.mlp_hidden_size,
        "vocab_size": language.vocab_size,
        "max_position_embeddings": language.max_sequence_length,
        "hidden_act": "silu",
        "rope_theta": language.rope_theta,
        "rope_scaling": None,
        "rms_norm_eps": language.rms_norm_eps,
        "tie_word_embeddings": language.weight_tying,
        "use_sliding_window": False,
    }


def _key(name: str) -> str:
    part, _, rest = name.partition(".")
    if part != "blocks":
        return f"{_KEYS[part]}.{rest}"
    number, part, leaf = rest.split(".")
    return f"model.layers.{number}.{QWEN2_BLOCK[part]}.{leaf}"


DREAM = Family(
    name="LaViDa-Dream",
    model_type="llava_dream",
    architecture="LlavaDreamForMaskedDiffusion",
    read=read_dream,
    write=_write,
    key=_key,
    mask_token_id=151666,
    eos_token_id=151643,
    turns=Turns("", "<|im_start|>", "\n", "<|im_end|>\n", trimmed=False),
    # As the released evaluation runs it, which has no blocks: no answer is longer than the context.
    sampling={"schedule": "timesteps", "remasking": "margin", "draw": "categorical", "block_length": CONTEXT},
)
