"""A differentiable pass through the backbone that computes what the loss reads, and no more.

    prefix queries   see the prefix                    P · P pairs, without a mask where nothing is padded
    sample queries   see the prefix and their sample   n L · (P + n L) pairs
    last block       queries, output and MLP of the tokens that are read only: its prefix gives keys and values

With `recompute`, each block keeps only its input `[B, S, d]` and runs again in the backward pass: a tenth of the
activations for half more time.

B: rows, S: tokens of a row, P: prefix tokens, n: samples that share a prefix, L: answer tokens, d: width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from shirg_lavida.language.attention import attend
from shirg_lavida.language.backbone import Backbone, Block
from shirg_lavida.language.masks import group_mask
from shirg_train.adapter.dropout import recompute_contexts


@dataclass(frozen=True)
class SharedPrefix:
    """Attention of rows [prefix, sample, sample, …], in which samples do not see each other.

    Attributes:
        prefix_length: P.
        prefix: what the prefix's queries may see of the prefix, `[B, 1, 1, P]`; None = everything.
        samples: what the samples' queries may see, `[B or 1, 1, n·L, P + n·L]`.
    """

    prefix_length: int
    prefix: Tensor | None
    samples: Tensor

    @classmethod
    def of(
        cls, prefix_length: int, samples: int, length: int, valid: Tensor | None, device: torch.device
    ) -> SharedPrefix:
        """For `samples` samples of `length` tokens; `valid [B, P]` is False for padding."""
        groups = torch.arange(samples, device=device).repeat_interleave(length) + 1
        groups = torch.cat([groups.new_zeros(prefix_length), groups])[None]
        if valid is None:
            return cls(prefix_length, None, group_mask(groups, queries=samples * length))
        every = torch.cat([valid, valid.new_ones(len(valid), samples * length)], dim=1)
        mask = group_mask(groups.expand(len(valid), -1), every, queries=samples * length)
        return cls(prefix_length, valid[:, None, None], mask)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """`q [B, H, T, c]` of a row's last T tokens, all samples among them; `k`, `v` of the whole row."""
        of_prefix = q.shape[2] - self.samples.shape[2]
        attended = attend(q[:, :, of_prefix:], k, v, self.samples)
        if not of_prefix:
            return attended
        seen = slice(self.prefix_length)
        return torch.cat([attend(q[:, :, :of_prefix], k[:, :, seen], v[:, :, seen], self.prefix), attended], dim=2)


@dataclass(frozen=True)
class Everything:
    """Attention of rows in which every token sees every other.

    Attributes:
        allowed: `[B, 1, 1, S]`; None = nothing is padded.
    """

    allowed: Tensor | None

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """As above."""
        return attend(q, k, v, self.allowed)


def run_backbone(
    backbone: Backbone,
    x: Tensor,
    positions: Tensor,
    attention: SharedPrefix | Everything,
    *,
    read: int,
    recompute: bool = False,
) -> Tensor:
    """`x [B, S, d]` → hidden `[B, read, d]` of each row's last tokens, the same with and without `recompute`.

    Args:
        backbone: the language model.
        x: embeddings.
        positions: `[B, S]`.
        attention: who sees whom.
        read: tokens that the loss reads, all samples' among them.
        recompute: see the module.
    """
    rotary = backbone.rotary(positions)
    for block in backbone.blocks:
        queries = read if block is backbone.blocks[-1] else x.shape[1]
        if recompute:
            x = checkpoint(
                _run_block, block, x, rotary, attention, queries, use_reentrant=False, context_fn=recompute_contexts
            )
        else:
            x = _run_block(cast("Block", block), x, rotary, attention, queries)
    hidden: Tensor = backbone.ln_f(x)
    return hidden


def _run_block(
    block: Block, x: Tensor, rotary: tuple[Tensor, Tensor], attention: SharedPrefix | Everything, queries: int
) -> Tensor:
    q, k, v = block.project(x, rotary)
    return block.finish(x[:, -queries:], attention(q[:, :, -queries:], k, v))
