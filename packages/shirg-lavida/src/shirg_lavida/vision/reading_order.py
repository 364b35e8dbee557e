"""The order in which the language model reads an image's tokens, and where newlines go.

Every token and newline of a view plan has a place in the full, unselected sequence; keeping K tokens keeps their
order. A newline closes a line that kept at least one token; lines that kept none vanish. Policies:

- `row` (released): base view in raster order without newlines, then the rows of the crops' mosaic from left to right
  across crops, one newline after each. A single view is its own mosaic.
- `view`: view after view, raster order inside, one newline after each view.
- `none`: view after view, no newlines.

A summary token comes last. Places double as positions: `packed` numbers what is there 0, 1, 2, …; `original` gives
each entry its place in the full sequence, so that distances stay what they were.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from shirg_core.checks import check_choice
from shirg_lavida.vision.views import ViewPlan

Newline: TypeAlias = Literal["row", "none", "view"]
NO_LINE = -1


class ReadingOrder(NamedTuple):
    """The full sequence of one plan under one policy. N tokens (padding included), R lines.

    Attributes:
        place: `[N]` int64, each valid token's place in the full sequence.
        line: `[N]` int64, the line that ends with a newline after this token, `NO_LINE` where none does.
        newline_place: `[R]` int64, each newline's place.
        bare: every newline stands, though no token does (see `ViewPlan.bare_rows`).
        span: length of the full sequence, newlines included, summary not.
    """

    place: Tensor
    line: Tensor
    newline_place: Tensor
    bare: bool
    span: int

    def entries(self, kept: int) -> tuple[int, int]:
        """Fewest and most entries that `kept` tokens become with their newlines, whichever tokens they are."""
        n_lines = len(self.newline_place)
        if self.bare:
            return kept + n_lines, kept + n_lines
        # Fewest newlines: tokens without a line first, then the longest lines.
        in_lines = kept - int((self.line == NO_LINE).sum())
        room = self.line[self.line != NO_LINE].bincount().sort(descending=True).values.cumsum(0)
        fewest = int((room < in_lines).sum()) + 1 if in_lines > 0 else 0
        return kept + fewest, kept + min(kept, n_lines)


@lru_cache(maxsize=256)
def reading_order(plan: ViewPlan, newline: Newline) -> ReadingOrder:
    """Places of all tokens and newlines of `plan`, on the CPU; see above.

    Raises:
        ValueError: an unknown policy.
    """
    check_choice("newline", newline, get_args(Newline))
    layout = plan.layout
    valid = layout.valid_mask()
    rank, line = torch.arange(layout.n_tokens), layout.view_ids()
    if newline == "row":
        rank, line = _mosaic_rank(plan)
    elif newline == "none":
        line = torch.full_like(rank, NO_LINE)
    # A newline sorts right after the last valid token of its line.
    lines = torch.tensor(sorted(set(line[valid & (line != NO_LINE)].tolist())), dtype=torch.int64)
    last = torch.stack([rank[valid & (line == r)].max() for r in lines]) if len(lines) else rank[:0]
    keys = torch.cat([rank[valid] * 2, last * 2 + 1])
    places = keys.argsort().argsort()
    n_valid = int(valid.sum())
    place = torch.zeros_like(rank)
    place[valid] = places[:n_valid]
    dense = torch.searchsorted(lines, line) if len(lines) else line
    newline_place, span = places[n_valid:], len(keys)
    bare = newline == "row" and plan.bare_rows > 0
    if bare:
        newline_place, span = torch.arange(span, span + plan.bare_rows), span + plan.bare_rows
    return ReadingOrder(place, torch.where(line == NO_LINE, NO_LINE, dense), newline_place, bare, span)


def _mosaic_rank(plan: ViewPlan) -> tuple[Tensor, Tensor]:
    """`[N]` rank of every token when the mosaic is read row by row, and `[N]` its mosaic row."""
    layout, (rows, cols) = plan.layout, plan.mosaic
    n_base = sum(view.n_tokens for view in layout.views[: plan.base_views])
    side = layout.views[-1].h
    grid = torch.arange(rows * cols * side * side).reshape(rows, side, cols, side)
    # Crops come in raster order: [rows, cols, h, w] in token order, [rows, h, cols, w] in reading order.
    rank = grid.permute(0, 2, 1, 3).reshape(-1)
    base = torch.arange(n_base)
    return torch.cat([base, rank + n_base]), torch.cat([torch.full_like(base, NO_LINE), rank // (cols * side)])


class Sequence(NamedTuple):
    """One image's entries of the prefix.

    Attributes:
        embeddings: `[T, d]`.
        places: `[T]` int64, ascending places in the full sequence.
        span: places the image takes up, `places` all below it.
        source: `[T]` int64, which of the K kept tokens an entry is; −1 = a newline or the summary.
    """

    embeddings: Tensor
    places: Tensor
    span: int
    source: Tensor


def in_reading_order(
    plan: ViewPlan, newline: Newline, kept: Tensor, indices: Tensor, newline_embedding: Tensor, summary: Tensor | None
) -> list[Sequence]:
    """Order the kept tokens of B images of one plan, and put newlines and the summary in.

    Args:
        plan: the images' plan.
        newline: the policy.
        kept: `[B, K, d]`, in the order of `indices`.
        indices: `[B, K]` int64.
        newline_embedding: `[d]`.
        summary: `[B, 1, d]` or None.

    Returns:
        One sequence per image; lengths differ where newlines do.
    """
    device = indices.device
    order = reading_order(plan, newline)
    place, line, newline_place = (t.to(device) for t in (order.place, order.line, order.newline_place))
    batch, n_lines = indices.shape[0], len(newline_place)
    # Column R collects the tokens without a line; it has no newline.
    touched = torch.full((batch, n_lines + 1), order.bare, device=device)
    touched = touched.scatter(1, line[indices].where(line[indices] != NO_LINE, n_lines), value=True)[:, :n_lines]
    absent = torch.iinfo(torch.int64).max
    keys = torch.cat([place[indices], newline_place.expand(batch, -1).where(touched, absent)], dim=1)
    places, source = keys.sort(dim=1)
    entries = torch.cat([kept, newline_embedding.to(kept.dtype).expand(batch, n_lines, -1)], dim=1)
    # The one synchronisation: how long each image's sequence is.
    lengths = (touched.sum(dim=1) + indices.shape[1]).tolist()
    sequences = []
    for b, length in enumerate(lengths):
        embeddings, at = entries[b, source[b, :length]], places[b, :length]
        kept_at = source[b, :length].where(source[b, :length] < indices.shape[1], -1)
        if summary is not None:
            embeddings, at = torch.cat([embeddings, summary[b]]), torch.cat([at, at.new_tensor([order.span])])
            kept_at = torch.cat([kept_at, kept_at.new_tensor([-1])])
        sequences.append(Sequence(embeddings, at, order.span + (summary is not None), kept_at))
    return sequences
