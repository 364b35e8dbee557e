"""LaViDa-LLaDA: LLaDA-8B (arXiv 2502.09992) behind LaViDa's views (arXiv 2505.16839)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shirg_lavida.families.family import Family, check_supported, required
from shirg_lavida.families.turns import Turns
from shirg_lavida.language.config import BackboneConfig

_SUPPORTED: dict[str, tuple[tuple[Any, ...], Any]] = {
    "block_type": (("llama",), "sequential"),
    "activation_type": (("silu",), "swiglu"),
    "layer_norm_type": (("rms",), "default"),
    "rope": ((True,), False),
    "rope_full_precision": ((True,), True),
    "alibi": ((False,), False),
    "attention_layer_norm": ((False,), False),
    "input_emb_norm": ((False,), False),
    "include_bias": ((False,), False),
    "include_qkv_bias": ((False, None), False),
    "bias_for_layer_norm": ((False, None), None),
    "scale_logits": ((False,), False),
    "block_group_size": ((1,), 1),
}


def read_llada(config: Mapping[str, Any]) -> BackboneConfig:
    """Read LLaDA's keys. Those that are absent mean what upstream's defaults say.

    Raises:
        ValueError: a missing size, or a value that the backbone does not implement; the message names the key.
    """
    check_supported(config, _SUPPORTED)
    d_model, mlp_hidden_size = required(config, "d_model"), config.get("mlp_hidden_size")
    return BackboneConfig(
        d_model=d_model,
        n_heads=required(config, "n_heads"),
        n_layers=required(config, "n_layers"),
        mlp_hidden_size=config.get("mlp_ratio", 4) * d_model if mlp_hidden_size is None else mlp_hidden_size,
        vocab_size=required(config, "vocab_size" if config.get("embedding_size") is None else "embedding_size"),
        max_sequence_length=required(config, "max_sequence_length"),
        n_kv_heads=_kv_heads(config),
        rope_theta=config.get("rope_theta", 10_000.0),
        rms_norm_eps=config.get("rms_norm_eps", 1e-5),
        weight_tying=config.get("weight_tying", True),
    )


def _kv_heads(config: Mapping[str, Any]) -> int | None:
    """`n_kv_heads`, or what the older switch `multi_query_attention` says when that is unset.

    Raises:
        ValueError: the two keys contradict each other.
    """
    count, multi_query = config.get("n_kv_heads"), config.get("multi_query_attention")
    if multi_query is None:
        return count
    implied = 1 if multi_query else required(config, "n_heads")
    if count not in {None, implied}:
        raise ValueError(f"config keys 'n_kv_heads'={count!r} and 'multi_query_attention'={multi_query!r} disagree")
    return implied


def _write(language: BackboneConfig) -> dict[str, Any]:
    return {
        "d_model": language.d_model,
        "n_heads": language.n_heads,
        "n_kv_heads": language.kv_heads,
        "n_layers": language.n_layers,
        "mlp_hidden_size": language.mlp_hidden_size,
        "vocab_size": language.vocab_size,
        "embedding_size": language.vocab_size,
        "max_sequence_length": language.max_sequence_length,
        "block_type": "llama",
        "activation_type": "silu",
        "layer_norm_type": "rms",
        "rope": True,
        "rope_theta": language.rope_theta,
        "rms_norm_eps": language.rms_norm_eps,
        "weight_tying": language.weight_tying,
        "include_bias": False,
        "include_qkv_bias": False,
    }


LLADA = Family(
    name="LaViDa-LLaDA",
    model_type="llava_llada",
    architecture="LlavaLladaForMaskedDiffusion",
    read=read_llada,
    write=_write,
    key=lambda name: f"model.transformer.{name}",
    mask_token_id=126336,
    eos_token_id=126081,
    turns=Turns("<|startoftext|>", "<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", trimmed=True),
)
