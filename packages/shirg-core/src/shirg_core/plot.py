"""Figures of what was kept: one selection beside its heat map, or several selections side by side.

Needs the extra `cli`. matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shirg_core.images import overlay
from shirg_core.images.load import Picture, as_image
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from shirg_core.images.sheet import Sheet

MARGIN, TITLE, GAP, BAR, BAR_HEIGHT = 24, 56, 20, 92, 360
MIN_WIDTH = 1000
"""Room for the title over the narrowest page."""
MIN_PANEL_WIDTH = 370
"""Room for the caption over a narrow panel."""
COMPARE_LONG_SIDE_PX = 620
COMPARE_COLUMNS = 4


@dataclass(frozen=True)
class Panel:
    """One selection and the words over it."""

    title: str
    selection: Selection


@dataclass(frozen=True)
class _Subject:
    """One image with one selection of its tokens; paints the part that `views` show, at `size` = `(width, height)`."""

    image: Image.Image
    layout: ViewLayout
    selection: Selection

    def kept(self, views: Sequence[int], size: tuple[int, int], *, outlines: bool = True) -> overlay.Floats:
        tokens = overlay.token_map(self.layout, views, size)
        page = overlay.page_pixels(self.image, size)
        picture = overlay.paint_kept(page, tokens, self.selection.mask[0].cpu().numpy())
        if not outlines:
            return picture
        return overlay.paint_outlines(picture, tokens, self.selection.regions[0].cpu().numpy())

    def heat(self, views: Sequence[int], size: tuple[int, int]) -> overlay.Floats:
        tokens = overlay.token_map(self.layout, views, size)
        return overlay.paint_scores(tokens, self._scores, self.layout.valid_mask().numpy())

    @property
    def score_range(self) -> tuple[float, float]:
        return overlay.score_range(self._scores, self.layout.valid_mask().numpy())

    @property
    def _scores(self) -> overlay.Floats:
        scores: overlay.Floats = self.selection.scores[0].detach().cpu().double().numpy()
        return scores


def selection_figure(
    image: Picture, layout: ViewLayout, selection: Selection, title: str = "kept visual tokens"
) -> Figure:
    """What was kept, and the scores beside it; for several views the crops large and the base view small.

    Args:
        image: a Pillow image of any mode, the path of one, or an array, see `shirg_core.images.load.as_image`.
        layout: the views the tokens come from.
        selection: the choice; its first image is drawn.
        title: one line.

    Raises:
        ValueError: an image that cannot be used, or a layout of other tokens than the selection's.
    """
    from shirg_core.images.sheet import CAPTION, Sheet

    _check_layout(layout, selection)
    page, main = as_image(image), _main_views(layout)
    subject = _Subject(page, layout, selection)
    width, height = size = overlay.display_size(page.size)
    small = overlay.display_size(page.size, (max(size) - GAP - CAPTION) // 2) if main != (0,) else (0, 0)
    below = max(height, 2 * small[1] + GAP + CAPTION)
    sheet = Sheet(max(2 * MARGIN + 2 * width + GAP + BAR + small[0] + GAP, MIN_WIDTH), MARGIN + TITLE + below + MARGIN)
    sheet.text(MARGIN, MARGIN, title, size=15, weight="bold")
    x, top = MARGIN, MARGIN + TITLE
    lines = " · lines: regions" if selection.regions[0].max() > 0 else ""
    sheet.picture((x, top), subject.kept(main, size), f"kept: clear · dropped: dimmed{lines}")
    x += width + GAP
    sheet.picture((x, top), subject.heat(main, size), "score, high = keep")
    x += width
    _draw_colour_bar(sheet, subject.score_range, (x + GAP // 2, top), min(height, BAR_HEIGHT))
    if main != (0,):
        x += BAR
        sheet.picture((x, top), subject.kept((0,), small), "base view, kept")
        sheet.picture((x, top + small[1] + GAP + CAPTION), subject.heat((0,), small), "base view, score")
    return sheet.figure


def comparison_figure(image: Picture, layout: ViewLayout, panels: Sequence[Panel], title: str) -> Figure:
    """Several selections of one image side by side; of several views the crops are shown. See `selection_figure`."""
    from shirg_core.images.sheet import CAPTION, Sheet

    for panel in panels:
        _check_layout(layout, panel.selection)
    page = as_image(image)
    width, height = size = overlay.display_size(page.size, COMPARE_LONG_SIDE_PX)
    columns = min(len(panels), COMPARE_COLUMNS)
    rows = -(-len(panels) // columns)
    step_x, step_y = max(width, MIN_PANEL_WIDTH) + GAP, height + GAP + CAPTION
    sheet = Sheet(
        max(2 * MARGIN + columns * step_x - GAP, MIN_WIDTH), MARGIN + TITLE - CAPTION + rows * step_y + MARGIN
    )
    sheet.text(MARGIN, MARGIN, title, size=15, weight="bold")
    for i, panel in enumerate(panels):
        corner = MARGIN + i % columns * step_x, MARGIN + TITLE + i // columns * step_y
        subject = _Subject(page, layout, panel.selection)
        sheet.picture(corner, subject.kept(_main_views(layout), size, outlines=False), panel.title)
    return sheet.figure


def save_figure(figure: Figure, path: Path | str) -> None:
    """Write the figure; the suffix chooses the format.

    Raises:
        ValueError: a suffix that no format has.
        OSError: the file cannot be written.
    """
    from shirg_core.images.sheet import render

    formats, suffix = figure.canvas.get_supported_filetypes(), Path(path).suffix[1:].lower()
    if suffix not in formats:
        raise ValueError(f"a figure's file must end in one of .{', .'.join(formats)}, got {str(path)!r}")
    render(figure, path, suffix)


def _check_layout(layout: ViewLayout, selection: Selection) -> None:
    if not isinstance(layout, ViewLayout):
        raise ValueError(f"layout must be a ViewLayout, got {type(layout).__name__}")
    if layout.n_tokens != selection.scores.shape[1]:
        raise ValueError(
            f"the layout must be the selection's, of {selection.scores.shape[1]} tokens, got one of {layout.n_tokens}"
        )


def _main_views(layout: ViewLayout) -> tuple[int, ...]:
    """The views drawn large: all crops, or the only view there is."""
    return tuple(range(1, len(layout.views))) or (0,)


def _draw_colour_bar(sheet: Sheet, values: tuple[float, float], corner: tuple[int, int], height: int) -> None:
    import matplotlib as mpl

    low, high = values
    axes = sheet.axes(corner, (16, height))
    shades = mpl.colormaps[overlay.COLORMAP](np.linspace(1, 0, 256))[:, None, :3]
    axes.imshow(shades, aspect="auto")
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.set_yticks([0, 127.5, 255], labels=[f"{value:.2f}" for value in (high, (low + high) / 2, low)])
