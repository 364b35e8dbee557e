"""Geometry of visual tokens: which view, grid cell and image area every token stands for.

A `ViewLayout` is an ordered list of views. Token index = view order, then raster order inside the view. Each view knows
the box it covers in the original image in normalised coordinates (x to the right, y down), which makes tokens of
different views comparable and drawable.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from shirg_core.constants import constant
from shirg_core.view import View, token_boxes


class Run(NamedTuple):
    """Consecutive views of one grid size, so that they are processed as one `[B, views, h, w, …]` tensor."""

    start: int
    views: int
    h: int
    w: int

    @property
    def stop(self) -> int:
        """Index one past the run's last token."""
        return self.start + self.views * self.h * self.w


@dataclass(frozen=True, repr=False)
class ViewLayout:
    """An ordered list of views; hashable, and equal when the views are equal.

    Layouts with equal views are one object: compiled code is specialised to the object, and need not be recompiled for
    an equal layout that is built for the next image.

    Args:
        views: at least one `View`.

    Raises:
        ValueError: no views, or nothing but padding.
    """

    views: tuple[View, ...] = ()
    n_tokens: int = field(init=False, compare=False)
    """N, padding included."""
    n_selectable: int = field(init=False, compare=False)
    """Tokens that are not padding; the largest possible budget."""
    n_pinned: int = field(init=False, compare=False)
    """Valid tokens of pinned views, which every selection keeps."""
    starts: tuple[int, ...] = field(init=False, compare=False)
    """First token index of each view."""
    runs: tuple[Run, ...] = field(init=False, compare=False)
    """Maximal runs of consecutive views with equal grids, in token order."""
    _hash: int = field(init=False, compare=False)

    def __new__(cls, views: Sequence[View] = ()) -> ViewLayout:
        """The layout of these views, if there is one already."""
        known = _INTERNED.get(tuple(views)) if isinstance(views, Sequence) else None
        return object.__new__(cls) if known is None else known

    def __post_init__(self) -> None:
        views = tuple(self.views) if isinstance(self.views, Iterable) else ()
        if not views or not all(isinstance(v, View) for v in views):
            raise ValueError(f"a layout needs at least one View, got {self.views!r}")
        derived = {
            "views": views,
            "n_tokens": sum(v.n_tokens for v in views),
            "n_selectable": sum(v.n_selectable for v in views),
            "n_pinned": sum(v.n_selectable for v in views if v.pinned),
            "starts": tuple(itertools.accumulate((v.n_tokens for v in views), initial=0))[:-1],
            "runs": _runs(views),
            "_hash": hash(views),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        if self.n_selectable == 0:
            raise ValueError("every token of the layout is padding; at least one must be valid")
        _INTERNED.setdefault(views, self)

    def __hash__(self) -> int:
        """Computed once: a v2 call looks its layout up four times, and a hash of five views takes some 20 µs."""
        return self._hash

    def __reduce__(self) -> tuple[type[ViewLayout], tuple[tuple[View, ...]]]:
        """Copies and unpickled layouts are the one object, too."""
        return ViewLayout, (self.views,)

    def __repr__(self) -> str:
        grids = ((f"{run.views} × " if run.views > 1 else "") + f"{run.h}×{run.w}" for run in self.runs)
        counts = [f"{self.n_tokens} tokens"]
        counts += [f"{self.n_selectable} selectable"] * self.has_padding
        counts += [f"{self.n_pinned} pinned"] * (self.n_pinned > 0)
        return f"ViewLayout({' + '.join(grids)}: {', '.join(counts)})"

    @classmethod
    def single(cls, h: int, w: int) -> ViewLayout:
        """One view over the whole image: `single(48, 48)` is SHIRG-v3's 672² image with patch 14, 2304 tokens."""
        return cls(views=(View(h, w),))

    @classmethod
    def anyres(cls, rows: int, cols: int, side: int) -> ViewLayout:
        """A base view of the whole image, then `rows × cols` crops in raster order, each `side × side` tokens.

        `anyres(2, 2, 27)` is LaViDa's square image: 5 × 729 = 3645 tokens.
        """
        if rows < 1 or cols < 1:
            raise ValueError(f"anyres needs at least 1 × 1 crops, got rows={rows}, cols={cols}")
        crops = (
            View(side, side, (c / cols, r / rows, (c + 1) / cols, (r + 1) / rows))
            for r, c in itertools.product(range(rows), range(cols))
        )
        return cls(views=(View(side, side), *crops))

    @property
    def has_padding(self) -> bool:
        """Whether any token is padding."""
        return self.n_selectable < self.n_tokens

    def valid_mask(self, device: torch.device | str | None = None) -> Tensor:
        """`[N]` bool, False for padding. Read-only: shared between calls."""
        return self._resident(device).valid

    def valid_index(self, device: torch.device | str | None = None) -> Tensor | None:
        """`[n_selectable]` int64, ascending indices of the tokens that are not padding; None when none is padding."""
        return self._resident(device).valid_index if self.has_padding else None

    def pinned_mask(self, device: torch.device | str | None = None) -> Tensor:
        """`[N]` bool, True for valid tokens of pinned views. Read-only: shared between calls."""
        return self._resident(device).pinned

    def view_ids(self, device: torch.device | str | None = None) -> Tensor:
        """`[N]` int64, the view each token belongs to. Read-only: shared between calls."""
        return self._resident(device).view_ids

    def boxes(self, device: torch.device | str | None = None) -> Tensor:
        """`[N, 4]` float32, `(x0, y0, x1, y1)` of every token in normalised image coordinates. Read-only: shared."""
        return self._resident(device).boxes

    def _resident(self, device: torch.device | str | None) -> _LayoutTensors:
        return _LayoutTensors(*_layout_tensors(self, torch.device("cpu" if device is None else device)))


_INTERNED: WeakValueDictionary[tuple[View, ...], ViewLayout] = WeakValueDictionary()


def _runs(views: Sequence[View]) -> tuple[Run, ...]:
    runs: list[Run] = []
    start = 0
    for view in views:
        last = runs[-1] if runs else None
        if last is not None and (last.h, last.w) == (view.h, view.w):
            runs[-1] = last._replace(views=last.views + 1)
        else:
            runs.append(Run(start, 1, view.h, view.w))
        start += view.n_tokens
    return tuple(runs)


class _LayoutTensors(NamedTuple):
    """A layout's constants on one device."""

    valid: Tensor
    valid_index: Tensor
    pinned: Tensor
    view_ids: Tensor
    boxes: Tensor


@constant
def _layout_tensors(layout: ViewLayout, device: torch.device) -> tuple[Tensor, ...]:
    flat = [bool(ok) for v in layout.views for ok in (v.valid if v.valid is not None else (True,) * v.n_tokens)]
    valid = torch.tensor(flat)
    valid_index = torch.tensor([i for i, ok in enumerate(flat) if ok])
    view_ids = torch.cat([torch.full((v.n_tokens,), i) for i, v in enumerate(layout.views)])
    pinned = torch.cat([torch.full((v.n_tokens,), v.pinned) for v in layout.views]) & valid
    boxes = torch.cat([token_boxes(v) for v in layout.views])
    return tuple(t.to(device) for t in (valid, valid_index, pinned, view_ids, boxes))
