"""Large sheets of texture, each made once: photographs, halftones, hatching, ruled paper, print, blank paper."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages.fonts import FACE_NAMES, load_atlas
from shirg_train.testbed.pages.generator import RowGenerator
from shirg_train.testbed.pages.ink import runs
from shirg_train.testbed.pages.raster import print_runs
from shirg_train.testbed.pages.words import BLANK, MAX_CODES, encode, filler_codes

SHEET_PX = 1536
TILE_PX = 96
PHOTO, HALFTONE, HATCHING, RULED, PRINT = range(5)
Grey = NDArray[np.uint8]
_PRINT_FACES = ("tiny", "dejavu-8", "source-9", "mono-8", "roboto-10", "tiny", "slab-9", "source-10")


@lru_cache(maxsize=8)
def sheet(kind: int) -> Grey:
    """`[SHEET_PX, SHEET_PX]` grey. Read-only: shared between calls."""
    return (_photo, _halftone, _hatching, _ruled, _print)[kind]()


@lru_cache(maxsize=8)
def faint_sheet(kind: int, strength: float) -> Grey:
    """A sheet as a watermark: white stays white, black becomes `1 − strength`. Read-only: shared between calls."""
    return _grey(255 - (255 - sheet(kind).astype(np.float32)) * strength)


@lru_cache(maxsize=8)
def paper(grain: float) -> Grey:
    """`[SHEET_PX, SHEET_PX]` of blank paper with uneven light. Read-only: shared between calls."""
    noise, light = _noise_and_light()
    return _grey(240 + noise * grain + 6 * light)


@lru_cache(maxsize=1)
def _noise_and_light() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(101)
    return rng.standard_normal((SHEET_PX, SHEET_PX), dtype=np.float32), _cloud(rng, 2.5)


def _grey(levels: NDArray[np.number]) -> Grey:
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def _cloud(rng: np.random.Generator, slope: float) -> NDArray[np.float32]:
    """Noise with a power spectrum 1/f^slope (natural images: 2), mean 0, standard deviation 1."""
    f = np.hypot(np.fft.fftfreq(SHEET_PX)[:, None], np.fft.rfftfreq(SHEET_PX)[None])
    f[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((SHEET_PX, SHEET_PX), dtype=np.float32)) / f ** (slope / 2)
    cloud = np.fft.irfft2(spectrum, s=(SHEET_PX, SHEET_PX))
    return np.asarray(cloud / cloud.std(), np.float32)


def _photo() -> Grey:
    rng = np.random.default_rng(102)
    cloud = _cloud(rng, 2.0)
    # Hard edges between light and dark, as objects have, over soft shading.
    objects = np.tanh(12 * _cloud(rng, 3.2))
    return _grey(128 + 40 * cloud + 45 * objects)


def _halftone() -> Grey:
    tone = np.clip(0.5 + 0.25 * _cloud(np.random.default_rng(103), 2.8), 0.1, 0.9)
    y, x = np.mgrid[:SHEET_PX, :SHEET_PX].astype(np.float32)
    pitch = np.array([3.0, 4.0, 5.0, 6.5])[(y // 384).astype(int) % 4]
    screen = 0.5 + 0.25 * (np.cos(2 * np.pi * (x + y) / pitch / 1.414) + np.cos(2 * np.pi * (x - y) / pitch / 1.414))
    return _grey(255 * (0.5 + 3 * (tone - screen)))


def _tiles() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], np.random.Generator]:
    """Pixel coordinates and the number of the tile that each pixel lies in."""
    y, x = np.mgrid[:SHEET_PX, :SHEET_PX].astype(np.float32)
    side = SHEET_PX // TILE_PX
    tile = (y // TILE_PX).astype(np.int64) * side + (x // TILE_PX).astype(np.int64)
    return x, y, tile, np.random.default_rng(104)


def _hatching() -> Grey:
    x, y, tile, rng = _tiles()
    n = int(tile.max()) + 1
    angle = np.pi * rng.integers(0, 8, n) / 8
    pitch = rng.choice([3.0, 4.0, 5.0, 7.0], n)
    crossed = rng.random(n) < 0.3
    along = x * np.cos(angle)[tile] + y * np.sin(angle)[tile]
    across = y * np.cos(angle)[tile] - x * np.sin(angle)[tile]
    ink = np.clip(1.2 - along % pitch[tile], 0, 1)
    ink = np.where(crossed[tile], np.maximum(ink, np.clip(1.2 - across % pitch[tile], 0, 1)), ink)
    return _grey(245 - ink * rng.integers(90, 220, n)[tile])


def _ruled() -> Grey:
    x, y, tile, rng = _tiles()
    n = int(tile.max()) + 1
    pitch, dashed = rng.integers(5, 12, n)[tile], rng.random(n)[tile] < 0.3
    both = rng.random(n)[tile] < 0.5
    ink = (y % pitch < 1) & (~dashed | (x % 4 < 2)) | both & (x % pitch < 1)
    return _grey(242 - ink * rng.integers(90, 190, n)[tile])


def _print() -> Grey:
    """Columns of pseudo-words and numbers in bands of different faces, as dense as print gets."""
    atlas, words, generator = load_atlas(), filler_codes(), RowGenerator([105])
    page = paper(4.0).copy()[None]
    band = SHEET_PX // len(_PRINT_FACES)
    for b, name in enumerate(_PRINT_FACES):
        face = FACE_NAMES.index(name)
        pitch = int(atlas.line_height[face]) + 2
        column = int(atlas.advance[face, encode("0")[0]]) * (MAX_CODES - 1) + 4
        y, x = (grid.ravel() for grid in np.mgrid[0 : band - pitch : pitch, 0 : SHEET_PX - column : column])
        n = len(x)
        print_runs(page, runs(
            np.zeros(n, np.int64), x + generator.integers(n, 0, 4)[0], y + b * band + 1, np.full(n, face),
            np.repeat(generator.integers(n, 0, 110)[0][: -(-n // 7)], 7)[:n], _tokens(generator, n, words),
        ))  # fmt: skip
    printed: Grey = page[0]
    return printed


def _tokens(generator: RowGenerator, n: int, words: NDArray[np.int16]) -> NDArray[np.int16]:
    """Half pseudo-words, some with a colon, and half numbers of two to five figures, some with a point."""
    out = words[generator.integers(n, 0, len(words))[0]].copy()
    ends, u = (out >= 0).sum(1), generator.uniform(n)[0]
    colon = u < 0.25
    out[np.flatnonzero(colon), ends[colon]] = encode(":")[0]
    figures = generator.integers(n * MAX_CODES, 0, 10)[0].reshape(n, MAX_CODES)
    length = generator.integers(n, 2, 6)[0]
    number = np.where(np.arange(MAX_CODES) < length[:, None], figures, BLANK)
    point = generator.uniform(n)[0] < 0.25
    number[point, length[point] - 1] = encode(".")[0]
    number[point, length[point]] = figures[point, -1]
    return np.where((u < 0.5)[:, None], out, number).astype(np.int16)
