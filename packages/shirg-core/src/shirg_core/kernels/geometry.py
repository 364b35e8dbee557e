"""What the kernels know about a layout: one integer per token, four per view, built once per device.

token word = flags | width << 8       flags: which neighbours exist, valid, pinned; width: columns of its grid
view row   = (start, tokens, width, pinned)        view id   = the row a token belongs to
"""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from shirg_core.constants import constant
from shirg_core.layout import ViewLayout
from shirg_core.view import View

RIGHT, BELOW, LEFT, ABOVE, VALID, PINNED = (tl.constexpr(1 << bit) for bit in range(6))
WIDTH_SHIFT = tl.constexpr(8)


class Geometry(NamedTuple):
    """A layout's constants on one device. Read-only: shared between calls.

    Attributes:
        tokens: `[N]` int32 token words.
        views: `[V, 4]` int32 view rows.
        view_ids: `[N]` int32, the view of each token.
        position: `[N]` int32, rank of a token among the selectable ones (0 for padding); None without padding.
        keys: `[n_selectable]` int64, the selectable tokens; None without padding.
    """

    tokens: Tensor
    views: Tensor
    view_ids: Tensor
    position: Tensor | None
    keys: Tensor | None


def geometry(layout: ViewLayout, device: torch.device) -> Geometry:
    """The constants of a layout on a device."""
    return Geometry(*_geometry(layout, device), layout.valid_index(device))


@constant
def _geometry(layout: ViewLayout, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    words = torch.cat([_view_words(view) for view in layout.views])
    rows = [
        (start, view.n_tokens, view.w, int(view.pinned))
        for start, view in zip(layout.starts, layout.views, strict=True)
    ]
    position = None
    if layout.has_padding:
        position = (layout.valid_mask().int().cumsum(0) - 1).clamp_min(0).int().to(device)
    views, view_ids = torch.tensor(rows, dtype=torch.int32), layout.view_ids().int()
    return words.to(device), views.to(device), view_ids.to(device), position


def _view_words(view: View) -> Tensor:
    valid = torch.ones(view.h, view.w, dtype=torch.bool)
    if view.valid is not None:
        valid = torch.as_tensor(view.valid).view(view.h, view.w)
    across, down = valid[:, 1:] & valid[:, :-1], valid[1:] & valid[:-1]
    words = torch.full((view.h, view.w), view.w << WIDTH_SHIFT.value, dtype=torch.int32)
    words[:, :-1] += across * RIGHT.value
    words[:, 1:] += across * LEFT.value
    words[:-1] += down * BELOW.value
    words[1:] += down * ABOVE.value
    words += valid * (VALID.value + view.pinned * PINNED.value)
    return words.flatten()


@triton.jit
def has(word, flag: tl.constexpr):
    """Whether a token word carries a flag."""
    return (word & flag) != 0
