"""The backbone of LLaDA and Dream: Llama-shaped, but every token sees every other (arXiv 2502.09992, arXiv 2508.15487).

    x ← x + W_o · softmax(R(q) R(k)ᵀ / √c + mask) v        q, k, v = W_q n, W_k n, W_v n,   n = RMSNorm(x)
    x ← x + W_2 (silu(W_1 n) ⊙ W_3 n)                      n = RMSNorm(x)

R rotates channel pairs (i, i + c/2) of a head with c channels by position · θ^(−2i/c), in float32. No biases but
Dream's on q, k and v. Names are LLaDA's: W_1 `ff_proj`, W_3 `up_proj`, W_2 `ff_out`, W_o `attn_out`.

B: batch, S: tokens, P: prefix tokens, L: answer tokens, d: width, H: heads, c: channels of a head, V: vocabulary.
Written out rather than wrapped around transformers' Llama because it measured faster where it counts and because
the cache then is ours (docs/decisions/0001-backbone.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shirg_lavida.language.attention import attend, attention_weights
from shirg_lavida.language.cache import LayerCache, PrefixCache
from shirg_lavida.language.config import BackboneConfig
from shirg_lavida.language.gated import gated
from shirg_lavida.language.protocol import Thin

__all__ = ["Backbone", "BackboneConfig"]


class RmsNorm(nn.Module):
    """`weight ⊙ x / √(mean(x²) + ε)`; normalised in float32, cast to the input's dtype, then weighted, as upstream."""

    def __init__(self, d: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """`[…, d]` → `[…, d]`."""
        return self.weight * F.rms_norm(x.float(), (x.shape[-1],), eps=self.eps).to(x.dtype)


class Block(nn.Module):
    """One transformer block; `project` and `finish` are split so that each caller attends in its own way in between."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        d, kv = config.d_model, config.kv_heads * config.head_dim
        self.head_dim = config.head_dim
        self.attn_norm = RmsNorm(d, config.rms_norm_eps)
        self.q_proj = nn.Linear(d, d, bias=config.qkv_bias)
        self.k_proj = nn.Linear(d, kv, bias=config.qkv_bias)
        self.v_proj = nn.Linear(d, kv, bias=config.qkv_bias)
        self.attn_out = nn.Linear(d, d, bias=False)
        self.ff_norm = RmsNorm(d, config.rms_norm_eps)
        self.ff_proj = nn.Linear(d, config.mlp_hidden_size, bias=False)
        self.up_proj = nn.Linear(d, config.mlp_hidden_size, bias=False)
        self.ff_out = nn.Linear(config.mlp_hidden_size, d, bias=False)

    def project(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """`[B, S, d]` → rotated q `[B, H, S, c]`, rotated k and v `[B, H_kv, S, c]`."""
        n = self.attn_norm(x)
        q, k, v = (p(n).unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for p in self._projections())
        return rotate(q, rotary), rotate(k, rotary), v

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Residuals around attention output `[B, H, S, c]` and MLP: `[B, S, d]`."""
        x = x + self.attn_out(attended.transpose(1, 2).flatten(2))
        n = self.ff_norm(x)
        out: Tensor = x + self.ff_out(gated(self.ff_proj(n), self.up_proj(n)))
        return out

    def _projections(self) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        return self.q_proj, self.k_proj, self.v_proj


class Backbone(nn.Module):
    """A bidirectional language model; `shirg_lavida.families` maps its parameters' names to checkpoints'."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.ln_f = RmsNorm(config.d_model, config.rms_norm_eps)
        self.ff_out = None if config.weight_tying else nn.Linear(config.d_model, config.vocab_size, bias=False)

    @property
    def n_layers(self) -> int:
        """Blocks."""
        return self.config.n_layers

    @property
    def vocab_size(self) -> int:
        """V; ids are below it."""
        return self.config.vocab_size

    @property
    def max_sequence_length(self) -> int:
        """Largest allowed position + 1."""
        return self.config.max_sequence_length

    @property
    def shifted(self) -> bool:
        """See `DiffusionBackbone.shifted`."""
        return self.config.shifted

    def embed(self, ids: Tensor) -> Tensor:
        """`[B, L]` int64 → `[B, L, d]`."""
        out: Tensor = self.wte(ids)
        return out

    @torch.no_grad()
    def prefill(
        self,
        prefix: Tensor,
        positions: Tensor,
        mask: Tensor | None = None,
        *,
        answer_length: int,
        thin: Thin | None = None,
    ) -> PrefixCache:
        """See `DiffusionBackbone.prefill`. No gradients: training uses `forward`."""
        rotary = self.rotary(positions)
        x, layers = prefix, []
        for number, block in enumerate(self._blocks(), start=1):
            q, k, v = block.project(x, rotary)
            layers.append(LayerCache.write(k, v, mask, answer_length))
            if number == self.config.n_layers:
                break  # what follows the last layer's keys and values reaches no answer token, but see below
            x = block.finish(x, attend(q, k, v, None if mask is None else mask[:, None, None]))
            thinned = None if thin is None else thin(number, q, k, mask)
            if thinned is not None:
                index, present = thinned
                x = x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))
                positions, mask = positions.gather(1, index), None if mask is None else mask.gather(1, index)
                if present is not None:
                    mask = present if mask is None else mask & present
                rotary = self.rotary(positions)
        if not self.config.shifted:
            return PrefixCache(tuple(layers))
        # The last token predicts the answer's first.
        attended = attend(q[:, :, -1:], k, v, None if mask is None else mask[:, None, None])
        return PrefixCache(tuple(layers), self.ln_f(block.finish(x[:, -1:], attended)))

    @torch.no_grad()
    def extend(self, x: Tensor, positions: Tensor, cache: PrefixCache, valid: Tensor | None = None) -> PrefixCache:
        """See `DiffusionBackbone.extend`."""
        rotary, layers = self.rotary(positions), []
        for block, layer in zip(self._blocks(), cache.layers, strict=True):
            q, k, v = block.project(x, rotary)
            keys, values, _ = layer.extended(k, v)
            layers.append(layer.longer(x.shape[1], valid))
            if len(layers) < self.config.n_layers:
                allowed = layers[-1].mask
                x = block.finish(x, attend(q, keys, values, None if allowed is None else allowed[..., : keys.shape[2]]))
        return PrefixCache(tuple(layers), cache.last)

    @torch.no_grad()
    def denoise(
        self, x: Tensor, positions: Tensor, cache: PrefixCache, *, paid: dict[int, Tensor] | None = None
    ) -> Tensor:
        """See `DiffusionBackbone.denoise`. No gradients: training uses `forward`. `paid` gets weights for its keys."""
        rotary = self.rotary(positions)
        for number, (block, layer) in enumerate(zip(self._blocks(), cache.layers, strict=True), start=1):
            q, k, v = block.project(x, rotary)
            keys, values, allowed = layer.extended(k, v)
            if paid is not None and number in paid:
                paid[number] = attention_weights(q, keys, allowed).mean(dim=1)[..., : layer.prefix_length]
            x = block.finish(x, attend(q, keys, values, allowed))
        hidden: Tensor = self.ln_f(x)
        return hidden

    def observe(
        self, x: Tensor, positions: Tensor, cache: PrefixCache, layers: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """See `DiffusionBackbone.observe`."""
        paid = dict.fromkeys(range(1, self.n_layers + 1) if layers is None else layers, x)
        hidden = self.denoise(x, positions, cache, paid=paid)
        return hidden, torch.stack(list(paid.values())).mean(dim=0)

    def forward(self, x: Tensor, positions: Tensor, allowed: Tensor | None = None) -> Tensor:
        """See `DiffusionBackbone.forward`."""
        rotary = self.rotary(positions)
        for block in self._blocks():
            q, k, v = block.project(x, rotary)
            x = block.finish(x, attend(q, k, v, allowed))
        hidden: Tensor = self.ln_f(x)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """`[…, d]` → `[…, V]`."""
        return F.linear(hidden, self.head)

    @property
    def head(self) -> Tensor:
        """`[V, d]`, what turns states into logits."""
        return self.wte.weight if self.ff_out is None else self.ff_out.weight

    def predicting(self, hidden: Tensor, last: Tensor | None) -> Tensor:
        """See `DiffusionBackbone.predicting`."""
        if not self.config.shifted:
            return hidden
        if last is None:
            raise RuntimeError("this model needs the state of the prefix's last token")
        return torch.cat([last, hidden[:, :-1]], dim=1)

    def rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine, float32 `[B, 1, S, c]`, of `positions [B, S]`."""
        c = self.config.head_dim
        # Recomputed instead of kept as a buffer: there is nothing to materialise after a meta-device load.
        exponent = torch.arange(0, c, 2, device=positions.device, dtype=torch.float32) / c
        angle = positions[:, None, :, None].float() * (1.0 / self.config.rope_theta**exponent)
        angle = torch.cat([angle, angle], dim=-1)
        return angle.cos(), angle.sin()

    def _blocks(self) -> tuple[Block, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Block))


def rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Apply rotary positions to `[B, H, S, c]` in float32, then round to the input's dtype."""
    cos, sin = rotary
    x32 = x.float()
    first, second = x32.chunk(2, dim=-1)
    return (x32 * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)
