"""What shapes a backbone; `shirg_lavida.families` reads it from a checkpoint's `config.json`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BackboneConfig:
    """Shape of a backbone; names are LLaDA's own keys.

    Args:
        d_model: width d.
        n_heads: query heads H; d must divide into H heads of even size.
        n_layers: blocks.
        mlp_hidden_size: width of the gated MLP.
        vocab_size: rows V of the embedding and of the output.
        max_sequence_length: the longest prefix plus answer the model was built for.
        n_kv_heads: key and value heads; None = `n_heads`. Must divide `n_heads`.
        rope_theta: base θ of the rotary frequencies.
        rms_norm_eps: ε of the RMS norms.
        weight_tying: the output shares the embedding's weight.
        qkv_bias: the projections to q, k and v have biases.
        shifted: the state of the token before predicts a token, as in an autoregressive model.

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
    qkv_bias: bool = False
    shifted: bool = False

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
