"""Writing a plot, whole or not at all: a PNG of at most 256 colours, or an SVG whose words stay words."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from shirg_core.files import atomic_path

MAX_COLOURS = 256


def save_plot(figure: Figure, path: Path) -> None:
    """Write the figure.

    Raises:
        ValueError: another suffix.
        OSError: the file cannot be written.
    """
    if path.suffix not in (".png", ".svg"):
        raise ValueError(f"a plot is a PNG or an SVG: {path.name} must end in .png or .svg")
    drawn = io.BytesIO()
    if path.suffix == ".svg":
        # Neither a date nor random names: the same figure gives the same file.
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.stem}):
            figure.savefig(drawn, format="svg", metadata={"Date": None})
        with atomic_path(path) as temporary:
            temporary.write_bytes(drawn.getvalue())
        return
    figure.savefig(drawn, format="png", dpi=figure.dpi)
    reduced = io.BytesIO()
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(MAX_COLOURS, dither=Image.Dither.NONE).save(reduced, format="png", optimize=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(reduced.getvalue())
