"""Bidirectional attention, and a look at its weights for the methods that prune by them.

B: batch, H: query heads, S: queries, S_k: keys, c: channels of a head. Keys may have fewer heads (a divisor of H).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_QUERY_CHUNK = 256


def attend(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None) -> Tensor:
    """Attention `[B, H, S, c]`; `allowed` bool, broadcastable to `[B, H, S, S_k]`, None = everything."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, enable_gqa=q.shape[1] != k.shape[1])


def attention_weights(q: Tensor, k: Tensor, allowed: Tensor | None) -> Tensor:
    """softmax(q kᵀ / √c) `[B, H, S, S_k]` in float32."""
    k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    scores = (q.float() @ k.float().transpose(-1, -2)) / math.sqrt(q.shape[-1])
    if allowed is not None:
        scores = scores.masked_fill(~allowed, float("-inf"))
    return scores.softmax(dim=-1)


def attention_received(q: Tensor, k: Tensor, valid: Tensor | None) -> Tensor:
    """Attention every key receives, mean over heads and valid queries, `[B, S_k]`; a chunk of queries at a time."""
    allowed = None if valid is None else valid[:, None, None]
    received = torch.zeros(q.shape[0], k.shape[2], dtype=torch.float32, device=q.device)
    for start in range(0, q.shape[2], _QUERY_CHUNK):
        weights = attention_weights(q[:, :, start : start + _QUERY_CHUNK], k, allowed).mean(dim=1)
        if valid is not None:
            weights = weights * valid[:, start : start + _QUERY_CHUNK, None]
        received += weights.sum(dim=1)
    queries = q.shape[2] if valid is None else valid.sum(dim=1, keepdim=True)
    return received / queries
