"""Writing a plot: a PNG of at most 256 colours, whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from shirg_core.files import atomic_path

MAX_COLOURS = 256


def save_plot(figure: Figure, path: Path) -> None:
    """Write the figure as PNG.

    Args:
        figure: drawn at its own size and resolution.
        path: ends in `.png`; its folder must exist.

    Raises:
        ValueError: another suffix.
        OSError: the file cannot be written.
    """
    if path.suffix != ".png":
        raise ValueError(f"a plot is a PNG: {path.name} must end in .png")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=figure.dpi)
    reduced = io.BytesIO()
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(MAX_COLOURS, dither=Image.Dither.NONE).save(reduced, format="png", optimize=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(reduced.getvalue())
