"""The picture that needs no JavaScript: the image, and what was dropped over it, as SVG. Scripts use its pixels."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from PIL import Image

from shirg_bench.explore.explored import Bools, ExploredImage, MethodRuns
from shirg_core.layout import ViewLayout

JPEG_QUALITY = 85
COARSE_PX = 400
"""Images below this long side are enlarged without smoothing."""
FINEST_PX = 1600
"""Long side of an image in the page, at most: more than any view shows."""


def data_uri(image: Image.Image, long_side: int) -> str:
    """The image, no larger than `long_side`, as PNG or JPEG, whichever is smaller."""
    shrunk = image.copy()
    shrunk.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    png, jpeg = io.BytesIO(), io.BytesIO()
    shrunk.save(png, "PNG", optimize=True)
    shrunk.save(jpeg, "JPEG", quality=JPEG_QUALITY)
    kind, data = min(("png", png.getvalue()), ("jpeg", jpeg.getvalue()), key=lambda each: len(each[1]))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def still_figure(number: int, explored: ExploredImage, start: int, source: str) -> str:
    """One image with what its first method kept at a budget, as a `figure`."""
    runs = explored.methods[0]
    run = runs.runs[min(start, len(runs.runs) - 1)]
    width, height = explored.image.size
    dropped = "".join(_rectangles(runs.layout, main_views(runs.layout), run.kept, (width, height)))
    words = _caption(explored, runs, int(run.kept.sum()))
    if run.reply is not None:
        words += f" Asked “{explored.question}”, the model answers “{run.reply.text}”."
    coarse = ' class="coarse"' if max(width, height) < COARSE_PX else ""
    return (
        f'<figure class="still" id="still-{number}">\n'
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(words)}">\n'
        f'<image{coarse} href="{source}" width="{width}" height="{height}" preserveAspectRatio="none"/>\n'
        f'<path class="dropped" d="{dropped}"/>\n</svg>\n<figcaption>{escape(words)}</figcaption>\n</figure>'
    )


def main_views(layout: ViewLayout) -> Sequence[int]:
    """The views drawn over the whole image: all crops, or the only view there is."""
    return range(1, len(layout.views)) or range(1)


def _caption(explored: ExploredImage, runs: MethodRuns, kept: int) -> str:
    kind = "pooled " if runs.method.merges else ""
    return (
        f"{explored.name}: {runs.method.name} keeps {kept} of {runs.layout.n_selectable} {kind}tokens (clear) and "
        "drops the others (dimmed)."
    )


def _rectangles(layout: ViewLayout, views: Sequence[int], kept: Bools, size: tuple[int, int]) -> Iterator[str]:
    """SVG path commands around dropped tokens, neighbours in a row joined; in pixels of the image."""
    width, height = size
    valid = layout.valid_mask().numpy()
    for i in views:
        view = layout.views[i]
        x0, y0, x1, y1 = view.box
        across, down = width * (x1 - x0) / view.w, height * (y1 - y0) / view.h
        for row in range(view.h):
            start = layout.starts[i] + row * view.w
            dropped = valid[start : start + view.w] & ~kept[start : start + view.w]
            for gone, columns in groupby(range(view.w), key=dropped.__getitem__):
                if gone:
                    first, *others = columns
                    left, top, wide = width * x0 + first * across, height * y0 + row * down, (1 + len(others)) * across
                    yield f"M{left:.1f} {top:.1f}h{wide:.1f}v{down:.1f}h{-wide:.1f}z"
