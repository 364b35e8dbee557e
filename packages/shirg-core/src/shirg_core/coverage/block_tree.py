"""Every block that a quadtree over the views can have, a function of the geometry alone; see `coverage.quadtree`."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from shirg_core.constants import constant
from shirg_core.layout import ViewLayout
from shirg_core.view import View

Cell: TypeAlias = tuple[int, int, int]
"""Token, row and column."""
Level: TypeAlias = tuple[Tensor, ...]
"""Blocks as many splits away from whole views: first single tokens `[t]`, then others, of each of which are the places
of its halves in the next level, `[s]` and `[s]`, and the second half's share of its tokens, `[s]` float32."""


class _Block(NamedTuple):
    """Tokens of a view inside the box of `h × w` cells whose first is `(top, left)`; h and w are powers of two."""

    cells: list[Cell]
    top: int
    left: int
    h: int
    w: int


def n_roots(layout: ViewLayout) -> int:
    """The fewest blocks: one for each view that is not pinned and has a valid token."""
    return sum(view.n_selectable > 0 and not view.pinned for view in layout.views)


@constant
def block_tree(layout: ViewLayout, device: torch.device) -> tuple[tuple[Level, ...], Tensor, Tensor]:
    """Every block there can be.

    Returns:
        The levels from whole views down. `[N, L]` int64, the number of each token's block in every level among the S
        that could be split; S below its last. `[N, L + 1]` int64, the token at that block's centre: of its tokens the
        one nearest to the middle of them all (ties: the first); a pinned view is one block, padding is −1.
    """
    n = layout.n_tokens
    ancestors: list[list[int]] = [[] for _ in range(n)]
    centres: list[list[int]] = [[] for _ in range(n)]
    levels: list[Level] = []
    blocks = _roots(layout)
    n_split = 0
    while blocks:
        single = [block for block in blocks if len(block.cells) == 1]
        halved = [(block, _halves(block)) for block in blocks if len(block.cells) > 1]
        below = [half for _, halves in halved for half in halves]
        # In the next level, too, single tokens come first.
        order = sorted(range(len(below)), key=lambda i: len(below[i].cells) > 1)
        place = torch.empty(len(below), dtype=torch.int64)
        place[torch.tensor(order, dtype=torch.int64)] = torch.arange(len(below))
        sizes = torch.tensor([len(half.cells) for half in below], dtype=torch.float32).view(-1, 2)
        levels.append(
            (
                torch.tensor([block.cells[0][0] for block in single], dtype=torch.int64),
                place[0::2],
                place[1::2],
                sizes[:, 1] / sizes.sum(1),
            )
        )
        for block, _ in halved:
            centre = _centre(block.cells)
            for token, _, _ in block.cells:
                ancestors[token].append(n_split)
                centres[token].append(centre)
            n_split += 1
        blocks = [below[i] for i in order]
    depth = max(map(len, ancestors))
    above = torch.tensor([own + [n_split] * (depth - len(own)) for own in ancestors], dtype=torch.int64)
    middle = torch.tensor([own + [i] * (depth + 1 - len(own)) for i, own in enumerate(centres)])
    for start, view in zip(layout.starts, layout.views, strict=True):
        if cells := _cells(start, view) if view.pinned else []:
            middle[start : start + view.n_tokens] = _centre(cells)
    middle = middle.masked_fill(~layout.valid_mask()[:, None], -1)
    moved = tuple(tuple(t.to(device) for t in level) for level in levels)
    return moved, above.view(n, depth).to(device), middle.to(device)


def _roots(layout: ViewLayout) -> list[_Block]:
    """A block for each view that is not pinned, single tokens first."""
    roots = []
    for start, view in zip(layout.starts, layout.views, strict=True):
        if not view.pinned and (cells := _cells(start, view)):
            roots.append(_Block(cells, 0, 0, 1 << (view.h - 1).bit_length(), 1 << (view.w - 1).bit_length()))
    return sorted(roots, key=lambda block: len(block.cells) > 1)


def _cells(start: int, view: View) -> list[Cell]:
    """The valid tokens of a view whose first token is `start`."""
    return [(start + i, *divmod(i, view.w)) for i in range(view.n_tokens) if view.valid is None or view.valid[i]]


def _halves(block: _Block) -> tuple[_Block, _Block]:
    """Both halves that hold tokens; where one is empty, those of the other."""
    cells, top, left, h, w = block
    if h >= w:
        first = _Block([c for c in cells if c[1] < top + h // 2], top, left, h // 2, w)
        second = _Block([c for c in cells if c[1] >= top + h // 2], top + h // 2, left, h // 2, w)
    else:
        first = _Block([c for c in cells if c[2] < left + w // 2], top, left, h, w // 2)
        second = _Block([c for c in cells if c[2] >= left + w // 2], top, left + w // 2, h, w // 2)
    if first.cells and second.cells:
        return first, second
    return _halves(first if first.cells else second)


def _centre(cells: list[Cell]) -> int:
    """The token nearest to the middle of them all; ties: the first."""
    n, row, col = len(cells), sum(r for _, r, _ in cells), sum(c for _, _, c in cells)
    return min(cells, key=lambda cell: ((n * cell[1] - row) ** 2 + (n * cell[2] - col) ** 2, cell[0]))[0]
