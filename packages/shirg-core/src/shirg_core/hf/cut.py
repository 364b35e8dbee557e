"""A choice applied: fewer rows, a shorter prompt, and the positions of what is left."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from shirg_core.hf.features import ImageRows
from shirg_core.selection import Selection

BESIDE_THE_IDS = {"token_type_ids": 0, "mm_token_type_ids": 0, "moe_mm_token_type_ids": 0, "labels": -100}
"""Inputs `[B, L]` that are cut like the ids, and what pads them."""
INSIDE = ("hidden_state", "hidden_states", "attentions")
"""How the names of a tower's own states end."""


class KeptRows(NamedTuple):
    """`keep [R]` bool, the rows that stay; `rows [K, D]` and `deep`, `[K, D]` a layer, what they hold."""

    keep: Tensor
    rows: Tensor
    deep: tuple[Tensor, ...]


def keep_rows(image: ImageRows, selection: Selection) -> KeptRows:
    """The kept tokens, the summary in the place of the last dropped token, and the newlines of rows that kept a token.

    A deeper layer has no summary; there the mean of the dropped tokens represents them.
    """
    tokens, index = image.tokens, selection.indices[0]
    keep, rows = torch.zeros_like(image.rows[:, 0], dtype=torch.bool), image.rows.clone()
    keep[tokens[index]] = True
    rows[tokens[index]] = selection.kept[0].to(rows.dtype)
    deep = image.deep
    if len(tokens) < len(rows):
        newline = torch.ones_like(keep).index_fill(0, tokens, value=False).nonzero().flatten()
        base = image.layout.views[0].n_tokens if len(image.layout.views) > 1 else 0
        keep[newline[torch.searchsorted(newline, tokens[index[index >= base]])]] = True
    if selection.summary is not None:
        dropped = tokens[~selection.mask[0]]
        keep[dropped[-1]] = True
        rows[dropped[-1]] = selection.summary[0, 0].to(rows.dtype)
        means = (layer[dropped].float().mean(dim=0, keepdim=True).to(layer.dtype) for layer in deep)
        deep = tuple(layer.index_copy(0, dropped[-1:], mean) for layer, mean in zip(deep, means, strict=True))
    return KeptRows(keep, rows[keep], tuple(layer[keep] for layer in deep))


def cut_features(output: Any, kept: Sequence[KeptRows]) -> dict[str, Any]:
    """The fields of the model's own output, with the kept rows in the container that its `forward` concatenates.

    The tower's own states are left out: they are large, and no `forward` reads them.
    """
    fields = {name: value for name, value in output.items() if not name.endswith(INSIDE)}
    pooled: Any = [image.rows for image in kept]
    if isinstance(output.pooler_output, Tensor):
        # `generate` repeats an entry at a time for beams: with a row each, prompts may differ in their number of rows.
        pooled = torch.cat(pooled) if output.pooler_output.dim() == 2 else torch.cat(pooled)[:, None]
    fields["pooler_output"] = pooled
    if kept[0].deep:
        fields["deepstack_features"] = [list(layer) for layer in zip(*(image.deep for image in kept), strict=True)]
    return fields


def prompt_positions(home: Any, inputs: Mapping[str, Any], real: Tensor) -> Tensor:
    """Positions of the whole prompt as the model counts them: `[B, L]`, or `[3, B, L]` from its `get_rope_index`."""
    if inputs.get("position_ids") is not None:
        given: Tensor = inputs["position_ids"]
        return given.expand(*given.shape[:-2], *real.shape)
    if hasattr(home, "get_rope_index"):
        names = inspect.signature(home.get_rope_index).parameters
        # Without token types the models count an image like text, as do these positions then.
        if "mm_token_type_ids" not in names or inputs.get("mm_token_type_ids") is not None:
            given, _ = home.get_rope_index(**{name: inputs[name] for name in names if inputs.get(name) is not None})
            return given
    return packed_positions(real)


def packed_positions(real: Tensor) -> Tensor:
    """`[B, L]` positions in a row, padding not counted, as `generate` makes them."""
    return (real.long().cumsum(-1) - 1).clamp_min(0).masked_fill(~real, 0)


class Cut:
    """Takes the kept columns of `[…, B, L]` tensors; shorter prompts are padded at the side where they were padded."""

    def __init__(self, keep: Tensor, real: Tensor) -> None:
        counts = keep.sum(dim=1, keepdim=True)
        column = torch.arange(int(counts.max()), device=keep.device)
        right = bool((~real[:, -1]).any())
        self._keep = keep
        self.real = column < counts if right else column >= len(column) - counts
        """`[B, L']` bool, False for padding."""

    def __call__(self, x: Tensor, fill: int = 0) -> Tensor:
        """`[…, B, L]` → `[…, B, L']`."""
        short = x.new_full((*x.shape[:-2], *self.real.shape), fill)
        short[..., self.real.to(x.device)] = x[..., self._keep.to(x.device)]
        return short
