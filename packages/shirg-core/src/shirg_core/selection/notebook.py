"""What a `Selection` says of itself in a shell, and shows in a notebook: how many tokens were kept, and where."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shirg_core.layout import ViewLayout
    from shirg_core.selection.contract import Selection

SHOWN = 4
"""Images of a batch that a notebook shows."""
LONG_SIDE_PX = 240
"""Of the largest view's map."""


def headline(selection: Selection) -> str:
    """One line: `v4, 768 of 2304 tokens, 64 regions, summary`; of a batch, of how many images."""
    n = selection.scores.shape[1] if selection.layout is None else selection.layout.n_selectable
    words = [f"{selection.indices.shape[1]} of {n} tokens"]
    if len(selection) and not selection.regions.is_meta:
        words.append(_count(int(selection.regions.max()) + 1, "region"))
    words += ["summary"] * (selection.summary is not None)
    words += [_count(len(selection), "image")] * (len(selection) != 1)
    return ", ".join(words if selection.method is None else [selection.method, *words])


def html(selection: Selection) -> str:
    """The headline over a map of every view: kept tokens dark, dropped ones light, padding left out."""
    title = f"<div><b>Selection</b>: {escape(headline(selection))}</div>"
    layout = selection.layout
    if layout is None or selection.indices.is_meta:
        return title
    rows = [_maps(selection.mask[b].tolist(), layout) for b in range(min(len(selection), SHOWN))]
    more = len(selection) - len(rows)
    rest = f"<div>and {_count(more, 'image')} more</div>" if more else ""
    return title + "".join(f"<div>{row}</div>" for row in rows) + rest


def _maps(kept: Sequence[bool], layout: ViewLayout) -> str:
    """One image's views beside one another, each an SVG of one unit a token."""
    valid = layout.valid_mask().tolist()
    scale = LONG_SIDE_PX / max(max(view.h, view.w) for view in layout.views)
    maps = []
    for start, view in zip(layout.starts, layout.views, strict=True):
        here = range(start, start + view.n_tokens)
        light, dark = [valid[i] for i in here], [kept[i] for i in here]
        caption = f"view of {view.h}×{view.w}: {sum(dark)} of {view.n_selectable} tokens kept"
        maps.append(
            f'<svg viewBox="0 0 {view.w} {view.h}" width="{view.w * scale:.0f}" height="{view.h * scale:.0f}" '
            f'role="img" style="margin:4px" shape-rendering="crispEdges"><title>{caption}</title>'
            f'<path fill="#d5dae3" d="{_path(light, view.w)}"/><path fill="#1f4e8c" d="{_path(dark, view.w)}"/></svg>'
        )
    return "".join(maps)


def _path(cells: Sequence[bool], width: int) -> str:
    """Of cells in raster order the set ones: a rectangle for every run in a row."""
    runs = []
    for (row, there), run in groupby(range(len(cells)), key=lambda i: (i // width, bool(cells[i]))):
        columns = [i % width for i in run]
        if there:
            runs.append(f"M{columns[0]} {row}h{len(columns)}v1h-{len(columns)}z")
    return "".join(runs)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
