"""What is not print and has edges: photographs' statistics, hatching, weaves, grain, guilloches, a scanner's marks."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.float64]


def photograph(rng: Generator, width: int, height: int) -> Image.Image:
    """A scene with a photograph's statistics: amplitudes fall as 1/f, occluding shapes with sharp borders, and grain.

    (Field 1987; dead leaves: Lee, Mumford and Huang 2001.)
    """
    ground = np.stack([_power_noise(rng, width, height, 1.2) for _ in range(3)], axis=-1)
    common = _power_noise(rng, width, height, 1.0)[..., None]
    image = _rgb(0.5 + 0.05 * ground + 0.18 * common)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(12, 50))):
        radius = min(width, height) * 0.04 / max(float(rng.random()), 0.08)
        x, y = rng.uniform(-0.1, 1.1, 2) * (width, height)
        colour = tuple(int(c) for c in rng.integers(20, 236, 3))
        corners = rng.integers(3, 9)
        turn = np.sort(rng.uniform(0, 2 * np.pi, corners))
        points = [(x + radius * np.cos(t), y + radius * np.sin(t)) for t in turn]
        if rng.random() < 0.5:
            draw.ellipse((x - radius, y - 0.7 * radius, x + radius, y + 0.7 * radius), fill=colour)
        else:
            draw.polygon(points, fill=colour)
    detail = rng.uniform(0.03, 0.1) * _power_noise(rng, width, height, 0.6)[..., None]
    return _rgb(np.asarray(image) / 255 + detail + rng.normal(0, 0.02, (height, width, 3)))


def hatching(rng: Generator, width: int, height: int) -> Image.Image:
    """Parallel or crossed lines at an angle."""
    y, x = np.mgrid[:height, :width]
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(4, 11)
    dark = _lines(x, y, angle, pitch)
    if rng.random() < 0.5:
        dark |= _lines(x, y, angle + np.pi / 2, pitch)
    shade = rng.uniform(0.2, 0.7, 3)
    return _rgb(np.where(dark[..., None], shade, 0.97))


def weave(rng: Generator, width: int, height: int) -> Image.Image:
    """A textile: warp and weft over and under, with uneven threads."""
    y, x = np.mgrid[:height, :width]
    pitch = float(rng.uniform(3, 8))
    over = ((x // pitch + y // pitch) % 2).astype(float)
    across, down = np.sin(np.pi * (y % pitch) / pitch), np.sin(np.pi * (x % pitch) / pitch)
    light = 0.45 + 0.35 * np.where(over > 0, across, down) + 0.06 * _power_noise(rng, width, height, 0.5)
    return _rgb(light[..., None] * rng.uniform(0.6, 1.0, 3))


def grain(rng: Generator, width: int, height: int) -> Image.Image:
    """A wooden desk: rings stretched along the boards, fine fibres."""
    y, x = np.mgrid[:height, :width]
    bend = _power_noise(rng, width, height, 1.5)
    rings = np.sin((x + 60 * bend) / rng.uniform(4, 12) + 0.01 * y)
    fibres = rng.normal(0, 1, (1, width)).repeat(height, 0) + 0.4 * rng.normal(0, 1, (height, width))
    light = 0.55 + 0.1 * rings + 0.05 * fibres + 0.08 * bend
    return _rgb(light[..., None] * np.array([1.0, 0.8, 0.58]))


def barcode(rng: Generator, width: int, height: int) -> Image.Image:
    """Bars, or a square code's modules: as dark and as sharp as print, and nothing to read."""
    module = int(rng.integers(2, 5))
    across, down = -(-width // module), -(-height // module) if rng.random() < 0.5 else 1
    dark = rng.random((down, across)) < 0.5
    tiles = dark.repeat(module, 1).repeat(module if down > 1 else height, 0)[:height, :width]
    return _rgb(np.where(tiles[..., None], 0.08, 0.98) * np.ones(3))


def guilloche(rng: Generator, width: int, height: int) -> Image.Image:
    """A security paper's fine waves, pale."""
    y, x = np.mgrid[:height, :width]
    pitch, waves = rng.uniform(7, 14), rng.uniform(50, 140)
    phase = (y + 12 * np.sin(x / waves) + 5 * np.sin(x / (waves / 3.7))) % pitch
    tint = rng.uniform(0.72, 0.9, 3)
    return _rgb(np.where((phase < 1.3)[..., None], tint, 0.985))


TEXTURES = (hatching, weave, grain)
"""Grounds that are plainly no paper."""


def scanned(rng: Generator, image: Image.Image) -> Image.Image:
    """As a scanner or a camera gives it: uneven light, a slight blur, noise."""
    width, height = image.size
    light = 1 + 0.05 * rng.uniform() * _power_noise(rng, width, height, 2.0)[..., None]
    blurred = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 0.6))))
    noise = rng.normal(0, rng.uniform(0.002, 0.02), (height, width, 1))
    return _rgb(np.asarray(blurred) / 255 * light * rng.uniform(0.93, 1.0) + noise)


def _lines(x: NDArray[np.int64], y: NDArray[np.int64], angle: float, pitch: float) -> NDArray[np.bool_]:
    return np.asarray((x * np.cos(angle) + y * np.sin(angle)) % pitch < 1.5)


def _power_noise(rng: Generator, width: int, height: int, slope: float) -> Floats:
    """`[height, width]` noise whose amplitude falls as 1/f^slope; mean 0, standard deviation 1."""
    spectrum = np.fft.rfft2(rng.normal(size=(height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1.0
    noise = np.fft.irfft2(spectrum / frequency**slope, s=(height, width))
    return np.asarray((noise - noise.mean()) / noise.std())


def _rgb(values: Floats) -> Image.Image:
    """`[H, W, 3]` in about [0, 1] → an image."""
    return Image.fromarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))
