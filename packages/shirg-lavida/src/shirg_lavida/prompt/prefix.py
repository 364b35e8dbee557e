"""The prefix of a prompt: `[B, P, d]` embeddings with their positions and their padding.

`Prefix` is not a tensor, so no tensor operation can drop what attention needs besides the embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeAlias, overload

import torch
from torch import Tensor

if TYPE_CHECKING:
    from shirg_core.layout import ViewLayout
    from shirg_core.selection import Selection


class NotATensorError(AttributeError, TypeError):
    """A `Prefix` was used as a tensor."""


@dataclass(frozen=True, eq=False)
class Placement:
    """Where one image's tokens stand in its row, for methods that choose again while an answer is decoded.

    Args:
        columns: `[K]` int64, the entry of each kept token, in the order of the selection.
        tokens: `[N, d]`, every token, dropped ones too; None = not asked for.
        positions: `[N]` int64, the rotary position of every token. A dropped token has its own under `original`
            positions; under `packed` ones, which leave no gap, that of the entry that it would follow.
    """

    columns: Tensor
    tokens: Tensor | None = None
    positions: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Prefix:
    """Visual and prompt embeddings in the order the language model reads them. B rows, P entries, width d.

    `prefix[b]` is row b's plain `[P, d]` tensor, padding included; `prefix[a:b]` are some of the rows as a `Prefix`.

    Args:
        embeddings: `[B, P, d]` floating, P ≥ 1; gradients flow through it.
        mask: `[B, P]` bool, False = padding before a shorter prompt; None = nothing padded.
        positions: `[B, P]` int64 rotary positions; None = 0 … P−1 in every row, or counted from the first entry that
            is not padding. Answer positions continue after each row's own last position + 1.
        visual_tokens: per row, the number of entries that stand for images, newlines and summaries included; empty =
            not counted.
        selections: per image, in prompt order, what was kept (batch of one); None where nothing was selected.
        layouts: per image, the geometry of the tokens that the selection chose from; without a selection, of the tokens
            the image became, after any pooling.
        owners: per image, its row.
        placements: per image; empty = not known.

    Raises:
        ValueError: embeddings that are not floating `[B, P, d]`, or anything else that does not fit them.
    """

    embeddings: Tensor
    mask: Tensor | None = None
    positions: Tensor | None = None
    visual_tokens: tuple[int, ...] = ()
    selections: tuple[Selection | None, ...] = ()
    layouts: tuple[ViewLayout, ...] = ()
    owners: tuple[int, ...] = ()
    placements: tuple[Placement, ...] = ()

    def __post_init__(self) -> None:
        x = self.embeddings
        if x.dim() != 3 or not x.is_floating_point() or x.shape[1] == 0:
            raise ValueError(f"a prefix is a floating [B, P, d] tensor with P ≥ 1, got {x.dtype} {list(x.shape)}")
        for name, value, dtype in (("mask", self.mask, torch.bool), ("positions", self.positions, torch.int64)):
            if value is not None and (value.shape != x.shape[:2] or value.dtype != dtype):
                expected = f"{dtype} {list(x.shape[:2])}"
                raise ValueError(f"{name} must be {expected}, got {value.dtype} {list(value.shape)}")
        if len(self.visual_tokens) not in (0, len(x)):
            raise ValueError(f"visual_tokens needs one count per row ({len(x)}), got {len(self.visual_tokens)}")
        counts = len(self.selections), len(self.layouts), len(self.owners)
        if len(set(counts)) > 1 or any(not 0 <= row < len(x) for row in self.owners):
            raise ValueError(
                f"selections, layouts and owners need one entry per image, owners below {len(x)}; "
                f"got {', '.join(map(str, counts))} entries, owners {self.owners}"
            )
        if len(self.placements) not in (0, len(self.owners)):
            raise ValueError(f"placements needs one per image ({len(self.owners)}), got {len(self.placements)}")

    @property
    def shape(self) -> torch.Size:
        """`[B, P, d]`."""
        return self.embeddings.shape

    @property
    def lengths(self) -> list[int]:
        """Entries of each row, padding left out; synchronises the device where something is padded."""
        batch, length = self.shape[:2]
        return [length] * batch if self.mask is None else [int(n) for n in self.mask.sum(dim=1).tolist()]

    @property
    def dtype(self) -> torch.dtype:
        """Of the embeddings."""
        return self.embeddings.dtype

    @property
    def device(self) -> torch.device:
        """Of the embeddings."""
        return self.embeddings.device

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> Prefix: ...
    def __getitem__(self, index: int | slice) -> Tensor | Prefix:
        """A row's embeddings `[P, d]`, or some of the rows with all that belongs to them.

        Raises:
            IndexError: there is no such row.
            TypeError: neither a number nor an ascending slice.
        """
        if isinstance(index, int) and not isinstance(index, bool):
            return self.embeddings[index]
        if not isinstance(index, slice) or (index.step is not None and index.step < 1):
            raise TypeError(
                f"a prefix is indexed by a row's number or an ascending slice of rows, got {index!r}; "
                "its embeddings are a plain tensor: prefix.embeddings"
            )
        return self._of(index, range(len(self.embeddings))[index])

    def take(self, rows: Sequence[int]) -> Prefix:
        """Some of the rows, in any order, with all that belongs to them."""
        return self._of(list(rows), rows)

    def _of(self, index: slice | list[int], rows: Sequence[int]) -> Prefix:
        images = [(new, i) for new, row in enumerate(rows) for i, owner in enumerate(self.owners) if owner == row]
        return Prefix(
            self.embeddings[index],
            mask=None if self.mask is None else self.mask[index],
            positions=None if self.positions is None else self.positions[index],
            visual_tokens=tuple(self.visual_tokens[row] for row in rows) if self.visual_tokens else (),
            selections=tuple(self.selections[i] for _, i in images),
            layouts=tuple(self.layouts[i] for _, i in images),
            owners=tuple(new for new, _ in images),
            placements=tuple(self.placements[i] for _, i in images) if self.placements else (),
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            raise NotATensorError(
                f"a Prefix has no {name!r}: it is no tensor, so that no operation loses its mask and positions; "
                "its embeddings are one: prefix.embeddings"
            )


PrefixLike: TypeAlias = Prefix | Tensor
"""A `Prefix`, or its plain embeddings `[B, P, d]` where nothing is padded and positions count from 0."""
