"""Colour: every page's greys become mixtures of one ink and one paper."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages.generator import RowGenerator


def tint(pages: NDArray[np.uint8], generator: RowGenerator, out: NDArray[np.uint8]) -> None:
    """`pages [B, S, S]` grey → `out [B, S, S, 3]`: black becomes a dark ink, white a light paper.

    Ink stays below grey level 80 and paper above 200 in every channel, so that print keeps its contrast.
    """
    ink, sheet = generator.uniform(3, 0, 80), generator.uniform(3, 205, 255)
    grey = np.arange(256, dtype=np.float32)[:, None] / 255
    for page, dark, light, coloured in zip(pages, ink, sheet, out, strict=True):
        np.take((dark + (light - dark) * grey).astype(np.uint8), page, axis=0, out=coloured)
