"""The prefix of a prompt: `[B, P, d]` embeddings that know their positions and their padding.

`Prefix` is a tensor, so that it goes wherever `[B, P, d]` embeddings go, and it carries what attention needs beside
the embeddings. Like `torch.nn.Parameter` it opts out of `__torch_function__`: every operation on it returns a plain
tensor, so what it carries never outlives the rows it describes. Autograd passes through it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

if TYPE_CHECKING:
    from shirg_core.layout import ViewLayout
    from shirg_core.selection import Selection


class Prefix(torch.Tensor):
    """Visual and prompt embeddings `[B, P, d]` in the order the language model reads them.

    Attributes:
        positions: `[B, P]` int64 rotary positions; None = 0 … P−1 in every row. Answer positions continue after
            each row's own last position + 1.
        mask: `[B, P]` bool, False = padding before a shorter prompt; None = nothing padded.
        visual_tokens: per row, the number of prefix entries that stand for images (newlines and summaries included).
        selections: per image, in prompt order, what was kept (batch of one); None where nothing was selected.
        layouts: per image, the geometry of the tokens that the selection chose from; without a selection, of the tokens
            the image became, after any pooling.
    """

    positions: Tensor | None
    mask: Tensor | None
    visual_tokens: tuple[int, ...]
    selections: tuple[Selection | None, ...]
    layouts: tuple[ViewLayout, ...]

    # Every operation returns a plain tensor, as for torch.nn.Parameter.
    __torch_function__ = cast("Any", torch._C._disabled_torch_function_impl)

    @classmethod
    def of(
        cls,
        embeddings: Tensor,
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        visual_tokens: Sequence[int] | None = None,
        selections: Sequence[Selection | None] = (),
        layouts: Sequence[ViewLayout] = (),
    ) -> Prefix:
        """Wrap `embeddings [B, P, d]`; no copy, gradients kept.

        Raises:
            ValueError: `embeddings` is not `[B, P, d]`, or positions or mask are not `[B, P]` int64 or bool.
        """
        if embeddings.dim() != 3 or not embeddings.is_floating_point():
            raise ValueError(
                f"a prefix is a floating [B, P, d] tensor, got {embeddings.dtype} {list(embeddings.shape)}"
            )
        for name, value, dtype in (("positions", positions, torch.int64), ("mask", mask, torch.bool)):
            if value is not None and (value.shape != embeddings.shape[:2] or value.dtype != dtype):
                expected = f"{dtype} {list(embeddings.shape[:2])}"
                raise ValueError(f"{name} must be {expected}, got {value.dtype} {list(value.shape)}")
        if visual_tokens is not None and len(visual_tokens) != embeddings.shape[0]:
            raise ValueError(f"visual_tokens needs one count per row ({embeddings.shape[0]}), got {len(visual_tokens)}")
        prefix = embeddings.as_subclass(cls)
        prefix.positions, prefix.mask = positions, mask
        prefix.visual_tokens = (0,) * embeddings.shape[0] if visual_tokens is None else tuple(visual_tokens)
        prefix.selections, prefix.layouts = tuple(selections), tuple(layouts)
        return prefix

    @property
    def embeddings(self) -> Tensor:
        """The plain `[B, P, d]` tensor: same storage, same gradients."""
        return self.as_subclass(torch.Tensor)

    def rows(self, which: slice) -> Prefix:
        """Some of the rows with their positions, padding and counts; without selections, which belong to images."""
        return Prefix.of(
            self.embeddings[which],
            positions=None if self.positions is None else self.positions[which],
            mask=None if self.mask is None else self.mask[which],
            visual_tokens=self.visual_tokens[which],
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Prefix:
        """A copy of the embeddings and of everything they carry; as with any tensor, not of the graph behind them."""
        copied = Prefix.of(
            copy.deepcopy(self.embeddings, memo),
            positions=copy.deepcopy(self.positions, memo),
            mask=copy.deepcopy(self.mask, memo),
            visual_tokens=self.visual_tokens,
            selections=copy.deepcopy(self.selections, memo),
            layouts=self.layouts,
        )
        memo[id(self)] = copied
        return copied
