"""Faces: one font at one size, rendered once into `atlas.npz`, which ships with the package.

The file makes print the same everywhere (rasterisers differ between versions) and spares users the font packages;
`render_atlas` rebuilds it from them (extra `fonts`).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from shirg_train.testbed.pages.bitmaps import tiny_glyphs
from shirg_train.testbed.pages.words import ALPHABET

TINY = "tiny"
FACES: dict[str, tuple[str, str, int]] = {
    TINY: ("", "", 5),
    "dejavu-8": ("matplotlib", "DejaVuSans.ttf", 8),
    "mono-8": ("matplotlib", "DejaVuSansMono.ttf", 8),
    "source-9": ("font_source_sans_pro", "SourceSansPro-Semibold.ttf", 9),
    "roboto-9": ("font_roboto", "Roboto-Regular.ttf", 9),
    "dejavu-9": ("matplotlib", "DejaVuSans.ttf", 9),
    "slab-9": ("matplotlib", "DejaVuSerif.ttf", 9),
    "source-10": ("font_source_sans_pro", "SourceSansPro-Regular.ttf", 10),
    "roboto-10": ("font_roboto", "Roboto-Medium.ttf", 10),
    "serif-12": ("font_source_serif_pro", "SourceSerifPro-Regular.ttf", 12),
    "roboto-14": ("font_roboto", "Roboto-Regular.ttf", 14),
    "serif-18": ("font_source_serif_pro", "SourceSerifPro-Semibold.ttf", 18),
    "roboto-24": ("font_roboto", "Roboto-Regular.ttf", 24),
    "source-32": ("font_source_sans_pro", "SourceSansPro-Regular.ttf", 32),
}
"""Name → (package, file, pixels per em), in order of size. `tiny` is drawn by hand, see `bitmaps.py`."""
FACE_NAMES = tuple(FACES)


@dataclass(frozen=True)
class Atlas:
    """All glyphs of all faces; face f's character c is glyph g = f · len(ALPHABET) + c.

    Attributes:
        advance: `[faces, characters]` pixels from one glyph's origin to the next one's.
        cap_height: `[faces]` pixels, height of capitals and figures; runs are placed by the top of their capitals.
        line_height: `[faces]` pixels, capitals and descenders.
        boxes: `[glyphs, 4]` ink's (x0, y0, x1, y1) from the origin at the capitals' top left.
        first: `[glyphs]` index of a glyph's first inked pixel in the arrays below.
        count: `[glyphs]` inked pixels.
        dx: pixel's offset to the right.
        dy: pixel's offset down.
        alpha: pixel's coverage, 1–255.
    """

    advance: NDArray[np.int64]
    cap_height: NDArray[np.int64]
    line_height: NDArray[np.int64]
    boxes: NDArray[np.int64]
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    dx: NDArray[np.int64]
    dy: NDArray[np.int64]
    alpha: NDArray[np.int64]

    def width(self, face: NDArray[np.integer], codes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Pixels a run takes up: `face [R]`, `codes [R, L]` → `[R]`."""
        return np.asarray(np.where(codes >= 0, self.advance[face[:, None], codes], 0).sum(1), np.int64)


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """The atlas that ships with the package. Read-only: shared between calls."""
    with as_file(files("shirg_train.testbed.pages") / "atlas.npz") as path, np.load(path) as stored:
        return Atlas(**{name: stored[name].astype(np.int64) for name in Atlas.__dataclass_fields__})


def render_atlas() -> Atlas:
    """Render every face from its font package.

    Raises:
        ImportError: a font package is not installed; it comes with the extra `fonts`.
    """
    faces = [_tiny_face() if name == TINY else _outline_face(*FACES[name]) for name in FACES]
    glyphs = [glyph for face in faces for glyph in face[0]]
    pixels = [np.nonzero(alpha) for alpha, _, _ in glyphs]
    count = np.array([len(rows) for rows, _ in pixels], np.int64)
    dx = [cols + left for (_, cols), (_, left, _) in zip(pixels, glyphs, strict=True)]
    dy = [rows + top for (rows, _), (_, _, top) in zip(pixels, glyphs, strict=True)]
    boxes = [(x.min(), y.min(), x.max() + 1, y.max() + 1) if len(x) else (0,) * 4 for x, y in zip(dx, dy, strict=True)]
    caps = [face[2] for face in faces]
    lows = [max(box[3] for box in boxes[f * len(ALPHABET) : (f + 1) * len(ALPHABET)]) for f in range(len(faces))]
    return Atlas(
        advance=np.array([face[1] for face in faces], np.int64),
        cap_height=np.array(caps, np.int64),
        line_height=np.array(lows, np.int64),
        boxes=np.array(boxes, np.int64),
        first=(np.cumsum(count) - count).astype(np.int64),
        count=count,
        dx=np.concatenate(dx).astype(np.int64),
        dy=np.concatenate(dy).astype(np.int64),
        alpha=np.concatenate([alpha[p] for (alpha, _, _), p in zip(glyphs, pixels, strict=True)]).astype(np.int64),
    )


_Glyph = tuple[NDArray[np.uint8], int, int]
"""Alpha, and the ink's left and top from the origin at the capitals' top left."""


def _tiny_face() -> tuple[list[_Glyph], list[int], int]:
    glyphs = tiny_glyphs()
    return [(alpha, 0, 0) for alpha in glyphs], [alpha.shape[1] + 1 for alpha in glyphs], 5


def _outline_face(package: str, file: str, size_px: int) -> tuple[list[_Glyph], list[int], int]:
    path = Path(importlib.import_module(package).__file__ or "").parent
    found = sorted(path.rglob(file))
    if not found:
        raise ImportError(f"package {package} has no font file {file}")
    font = ImageFont.truetype(str(found[0]), size_px, layout_engine=ImageFont.Layout.BASIC)
    _, top, _, base = (round(edge) for edge in font.getbbox("H"))
    glyphs: list[_Glyph] = []
    advances = []
    for character in ALPHABET:
        canvas = Image.new("L", (2 * size_px + 8, 2 * size_px + 8))
        ImageDraw.Draw(canvas).text((size_px // 2, 4), character, font=font, fill=255)
        alpha = np.asarray(canvas).copy()
        # What is fainter than this is not seen on paper, and would widen every box.
        alpha[alpha < 24] = 0
        glyphs.append((alpha, -(size_px // 2), -(4 + top)))
        ink_right = np.flatnonzero(alpha.any(0))
        right = int(ink_right[-1]) + 1 - size_px // 2 if len(ink_right) else 0
        advances.append(max(round(font.getlength(character)), right))
    return glyphs, advances, base - top
