"""What shapes a LLaDA backbone, read from a checkpoint's `config.json` and validated key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
"""Upstream key → (values this backbone implements, the value upstream assumes when the key is missing)."""


@dataclass(frozen=True)
class BackboneConfig:
    """Shape of a LLaDA backbone; names are the checkpoint's own keys.

    Args:
        d_model: width d.
        n_heads: query heads H; d must divide into H heads of even size.
        n_layers: blocks.
        mlp_hidden_size: width of the gated MLP.
        vocab_size: rows V of the embedding and of the output (upstream's `embedding_size` where it is set).
        max_sequence_length: the longest prefix plus answer the model was built for.
        n_kv_heads: key and value heads; None = `n_heads`. Must divide `n_heads`.
        rope_theta: base θ of the rotary frequencies.
        rms_norm_eps: ε of the RMS norms.
        weight_tying: the output shares the embedding's weight.

    Raises:
        ValueError: a size that is not positive, or head counts that do not divide.
    """

    d_model: int
    n_heads: int
    n_layers: int
    mlp_hidden_size: int
    vocab_size: int
    max_sequence_length: int = 4096
    n_kv_heads: int | None = None
    rope_theta: float = 500_000.0
    rms_norm_eps: float = 1e-5
    weight_tying: bool = False

    def __post_init__(self) -> None:
        for name in ("d_model", "n_heads", "n_layers", "mlp_hidden_size", "vocab_size", "max_sequence_length"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        if self.d_model % (2 * self.n_heads):
            raise ValueError(f"d_model={self.d_model} does not divide into n_heads={self.n_heads} heads of even size")
        if self.n_kv_heads is not None and (self.n_kv_heads < 1 or self.n_heads % self.n_kv_heads):
            raise ValueError(f"n_kv_heads={self.n_kv_heads} must divide n_heads={self.n_heads}")
        if self.rope_theta <= 0 or self.rms_norm_eps <= 0:
            raise ValueError(f"rope_theta and rms_norm_eps must be > 0, got {self.rope_theta}, {self.rms_norm_eps}")

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        """Key and value heads."""
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @classmethod
    def from_checkpoint(cls, config: Mapping[str, Any]) -> BackboneConfig:
        """Read upstream's `config.json`. Keys that are absent mean what upstream's defaults say.

        Raises:
            ValueError: a missing size, or a value this backbone does not implement; the message names the key.
        """
        for key, (supported, default) in _SUPPORTED.items():
            value = config.get(key, default)
            if value not in supported:
                raise ValueError(f"config key {key!r} must be {' or '.join(map(repr, supported))}, got {value!r}")
        d_model, mlp_hidden_size = _required(config, "d_model"), config.get("mlp_hidden_size")
        return cls(
            d_model=d_model,
            n_heads=_required(config, "n_heads"),
            n_layers=_required(config, "n_layers"),
            mlp_hidden_size=config.get("mlp_ratio", 4) * d_model if mlp_hidden_size is None else mlp_hidden_size,
            vocab_size=_required(config, "vocab_size" if config.get("embedding_size") is None else "embedding_size"),
            max_sequence_length=_required(config, "max_sequence_length"),
            n_kv_heads=_kv_heads(config),
            rope_theta=config.get("rope_theta", 10_000.0),
            rms_norm_eps=config.get("rms_norm_eps", 1e-5),
            weight_tying=config.get("weight_tying", True),
        )


def _required(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"config key {key!r} must be an integer, got {value!r}")
    return value


def _kv_heads(config: Mapping[str, Any]) -> int | None:
    """`n_kv_heads`, or what the older switch `multi_query_attention` says when that is unset.

    Raises:
        ValueError: the two keys contradict each other.
    """
    count, multi_query = config.get("n_kv_heads"), config.get("multi_query_attention")
    if multi_query is None:
        return count
    implied = 1 if multi_query else _required(config, "n_heads")
    if count not in {None, implied}:
        raise ValueError(f"config keys 'n_kv_heads'={count!r} and 'multi_query_attention'={multi_query!r} disagree")
    return implied
