"""One view: an image crop as a grid of tokens, and the area of the image that each of them covers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from shirg_core.checks import integer, keep

Box: TypeAlias = tuple[float, float, float, float]
BoolGrid: TypeAlias = "Tensor | Sequence[Sequence[bool]] | Sequence[bool]"


@dataclass(frozen=True)
class View:
    """One image crop seen as an `h × w` grid of tokens.

    Args:
        h: rows of the grid, ≥ 1.
        w: columns of the grid, ≥ 1.
        box: `(x0, y0, x1, y1)`, the area of the original image under the whole grid, in units of the image's width and
            height. A padded view reaches outside [0, 1]; that is where its invalid tokens lie.
        pinned: every valid token of this view is always kept.
        valid: `[h, w]` booleans (tensor, array or nested sequence), False = padding, never kept. None = all valid.

    Raises:
        ValueError: an empty grid, a box without area, or a `valid` of another shape.
    """

    h: int
    w: int
    box: Box = (0.0, 0.0, 1.0, 1.0)
    pinned: bool = False
    valid: BoolGrid | None = None

    def __post_init__(self) -> None:
        keep(self, integer, "h", "w", low=1)
        box = tuple(float(c) for c in self.box)
        if len(box) != 4 or not (box[0] < box[2] and box[1] < box[3]) or not all(map(math.isfinite, box)):
            raise ValueError(f"box must be finite (x0, y0, x1, y1) with x0 < x1 and y0 < y1, got {self.box!r}")
        object.__setattr__(self, "box", box)
        if self.pinned not in (True, False):
            raise ValueError(f"pinned must be True or False, got {self.pinned!r}")
        object.__setattr__(self, "pinned", bool(self.pinned))
        if self.valid is not None:
            object.__setattr__(self, "valid", self._flat_valid(self.valid))

    def _flat_valid(self, valid: BoolGrid) -> tuple[bool, ...] | None:
        """`valid` as `h·w` booleans in raster order; None when nothing is padding."""
        given = valid.tolist() if isinstance(valid, Tensor) else valid
        rows = list(given) if isinstance(given, Iterable) else []
        if rows and not any(isinstance(row, Iterable) for row in rows):
            # Already flat, as views keep it.
            rows = [rows[start : start + self.w] for start in range(0, len(rows), self.w)]
        lengths = [len(list(row)) if isinstance(row, Iterable) else 1 for row in rows]
        if lengths != [self.w] * self.h:
            raise ValueError(
                f"valid must have shape [{self.h}, {self.w}], got {len(rows)} rows of {sorted(set(lengths))}"
            )
        flat = tuple(bool(v) for row in rows for v in row)
        return None if all(flat) else flat

    @property
    def n_tokens(self) -> int:
        """Tokens of the grid, padding included."""
        return self.h * self.w

    @property
    def n_selectable(self) -> int:
        """Tokens that are not padding."""
        return self.n_tokens if self.valid is None else sum(bool(v) for v in self.valid)


def token_boxes(view: View) -> Tensor:
    """`[h·w, 4]` boxes of one view's tokens; adjacent tokens share their border exactly."""
    x0, y0, x1, y1 = view.box
    xs = x0 + (x1 - x0) * torch.arange(view.w + 1, dtype=torch.float64) / view.w
    ys = y0 + (y1 - y0) * torch.arange(view.h + 1, dtype=torch.float64) / view.h
    left, top = xs[:-1].expand(view.h, view.w), ys[:-1, None].expand(view.h, view.w)
    right, bottom = xs[1:].expand(view.h, view.w), ys[1:, None].expand(view.h, view.w)
    return torch.stack([left, top, right, bottom], dim=-1).reshape(-1, 4).float()
