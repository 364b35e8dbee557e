"""Attention received in a layer that computes it anyway: a vision tower's own A, for SHIRG-v3 and whoever asks for it.

    a_i = 1/(H·T) · Σ_h Σ_j softmax_i( s · q_hj · k_hi + m_hji )          (query j, key i, head h)

These are the column means of the layer's attention maps. The maps, `[V, H, T, T]`, are never formed: a block of one
view's queries at a time gives its part of every column's sum, so the workspace is `[H, QUERY_BLOCK, T]`.

| symbol | variable | shape                                 |
|--------|----------|---------------------------------------|
| q      | query    | `[V, H, T, d]`                        |
| k      | key      | `[V, H', T, d]`, H' divides H         |
| s      | scale    | –                                     |
| m      | mask     | `[V or 1, H or 1, T, T]`, or None     |
| a      | mean     | `[V, T]`                              |
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shirg_core.checks import integer
from shirg_core.precision import without_autocast

QUERY_BLOCK = 64
PENULTIMATE = -2
"""The layer that is observed unless another is named: LLaVA and LaViDa take the features that come out of it."""


class Received(NamedTuple):
    """Attention received by each of T tokens of V views, averaged over heads, in float32; rows sum to 1.

    Attributes:
        mean: `[V, T]`, from all queries alike.
        first: `[V, T]`, from the first token's query: of a tower with a CLS token, what this one looks at.
    """

    mean: Tensor
    first: Tensor


def layer_index(layer: int, count: int, *, runs: int | None = None) -> int:
    """A layer's place among `count`, counted from the end where it is negative.

    Args:
        layer: as in Python.
        count: layers of the tower as trained.
        runs: how many of them run, the first ones; None = all.

    Raises:
        ValueError: no integer, or a layer that is not there or does not run.
    """
    layer = integer("attention_layer", layer)
    runs = count if runs is None else runs
    index = layer + count if layer < 0 else layer
    if not 0 <= index < runs:
        raise ValueError(f"attention_layer must be in [{-count}, {runs - count}) or [0, {runs}), got {layer}")
    return index


@torch.no_grad()
@without_autocast
def received_from_heads(query: Tensor, key: Tensor, *, scale: float, mask: Tensor | None = None) -> Received:
    """Column means of a layer's attention maps, and the first row of their mean.

    Args:
        query: `[V, H, T, d]`, as it enters the product: with rotary positions and norms, if the layer has them.
        key: `[V, H', T, d]`; several heads of queries may share one of keys.
        scale: of the product.
        mask: `[V or 1, H or 1, T, T]`: bool, True = may look, or numbers to add; None = every token looks at all.
    """
    views, heads, tokens = query.shape[:3]
    mean = query.new_zeros((views, tokens), dtype=torch.float32)
    first = torch.zeros_like(mean)
    for v in range(views):
        keys = key[v].float().repeat_interleave(heads // key.shape[1], dim=0).transpose(1, 2)
        allowed = None if mask is None else mask[min(v, len(mask) - 1)]
        for start in range(0, tokens, QUERY_BLOCK):
            rows = slice(start, start + QUERY_BLOCK)
            logits = query[v, :, rows].float() @ keys * scale
            if allowed is not None:
                part = allowed[:, rows]
                logits = logits.masked_fill(~part, -torch.inf) if part.dtype == torch.bool else logits + part.float()
            maps = logits.softmax(dim=-1)
            mean[v] += maps.sum(dim=(0, 1)) / (heads * tokens)
            if start == 0:
                first[v] = maps[:, 0].mean(dim=0)
    return Received(mean, first)
