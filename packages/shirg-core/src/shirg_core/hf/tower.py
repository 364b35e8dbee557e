"""The attention that a vision tower of transformers computes anyway, received by each of its tokens.

The tower runs as it always does: with SDPA and FlashAttention, which give no maps, or eager attention. One layer's
queries and keys are read where it hands them to transformers' attention function, rotary positions and norms included,
and summed up in blocks (`shirg_core.scores.heads`).
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from shirg_core.scores.heads import PENULTIMATE, Received, layer_index, received_from_heads

OBSERVED = "shirg_observed"
"""The attention function's name while a tower is observed."""


@dataclass(frozen=True)
class TowerAttention:
    """What was seen while the tower ran.

    Attributes:
        leading: tokens in front of the patches: CLS and registers.
        has_cls: whether the first of them is a CLS token.
        calls: of the layer's attention, in order; towers of the Qwen-VL kind call it for each image by itself.
    """

    leading: int
    has_cls: bool
    calls: list[Received] = field(default_factory=list)

    @property
    def received(self) -> Tensor:
        """`[V, N]` float32, attention that each patch received: the mean over heads and all queries.

        Raises:
            ValueError: the tower has not run, or its images differ in size.
        """
        return self._stacked([call.mean for call in self.calls])

    @property
    def cls(self) -> Tensor | None:
        """`[V, N]` float32, attention of the CLS token to each patch, the mean over heads; None without such a token.

        Raises:
            ValueError: as `received`.
        """
        return self._stacked([call.first for call in self.calls]) if self.has_cls else None

    @property
    def images(self) -> list[Tensor]:
        """`received`, `[N_i]` of every sequence that the tower attended over."""
        return [row for call in self.calls for row in call.mean[:, self.leading :]]

    def _stacked(self, rows: list[Tensor]) -> Tensor:
        if len(sizes := {row.shape[1] - self.leading for row in rows}) != 1:
            seen = f"images of {sorted(sizes)} tokens" if sizes else "the tower did not run"
            raise ValueError(f"received attention [V, N] needs views of one size, but {seen}: see `images`")
        return torch.cat(rows)[:, self.leading :]


@contextmanager
def tower_attention(tower: nn.Module, layer: int = PENULTIMATE) -> Iterator[TowerAttention]:
    """Observe a layer of a vision tower while it runs inside the `with`; its hooks are removed afterwards.

    Not for several threads at once.

    Args:
        tower: a vision tower of transformers: SigLIP, CLIP, DINOv2, ViT, that of a vision-language model, …
        layer: as in Python; −2 is the layer whose features LLaVA takes (`hidden_states[-2]`).

    Raises:
        ValueError: a layer that is not there, or attention that does not go through transformers' attention functions.
    """
    blocks = [block for block in tower.modules() if {"config", "is_causal"} <= vars(block).keys()]
    home = vars(sys.modules[type(blocks[0]).__module__]) if blocks else {}
    functions, eager = home.get("ALL_ATTENTION_FUNCTIONS"), home.get("eager_attention_forward")
    if functions is None or eager is None:
        raise ValueError(
            f"attention maps are not available with {type(tower).__name__}: its layers do not call transformers' "
            "attention functions; compute them yourself, and give the selector attention=[B, N]"
        )
    block: Any = blocks[layer_index(layer, len(blocks))]
    config, seen = block.config, _empty(tower)
    compute = functions.get_interface(config._attn_implementation, eager)

    def observed(
        module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any = None, **given: Any
    ) -> Any:
        scale = given.get("scaling")
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        mask = _full_mask(attention_mask, config._attn_implementation, query.shape[2])
        seen.calls.append(received_from_heads(query, key, scale=scale, mask=mask))
        # FlashAttention asks the module's config which one it is.
        module.config = config
        try:
            return compute(module, query, key, value, attention_mask, **given)
        finally:
            module.config = watched

    watched = copy.copy(config)
    functions[OBSERVED] = observed
    watched._attn_implementation = OBSERVED
    block.config = watched
    try:
        yield seen
    finally:
        block.config = config
        del functions[OBSERVED]


def _empty(tower: nn.Module) -> TowerAttention:
    """Tokens before the patches are parameters of the embeddings."""
    named = {
        name.rpartition("embeddings.")[2]: weight for name, weight in tower.named_parameters() if "embeddings." in name
    }
    leading = sum(named[name].shape[1] for name in ("register_tokens", "distillation_token") if name in named)
    has_cls = "cls_token" in named or "class_embedding" in named
    return TowerAttention(leading + has_cls, has_cls)


def _full_mask(mask: Any, implementation: str, tokens: int) -> Tensor | None:
    """`[V, 1, T, T]`; FlashAttention's masks are `[V, T]`, 0 for padding."""
    if mask is None:
        return None
    if not isinstance(mask, Tensor):
        raise ValueError(
            f"attention maps are not available with {implementation}, whose mask is a {type(mask).__name__}: "
            "load the model with attn_implementation='sdpa'"
        )
    return mask.bool()[:, None, None, :].expand(-1, 1, tokens, -1) if mask.dim() == 2 else mask
