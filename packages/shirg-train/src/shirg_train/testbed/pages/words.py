"""What pages are written in: the alphabet, the labels that can be asked for, and filler that never is."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:.,-%/ "
"""Printable characters; a glyph's code is its index here."""

_LABEL_WORDS = """
    total tax net gross fee rent room gate seat row bay lot unit item qty size width height depth weight mass area
    speed rate price cost paid due sum cash debit credit loan fund bonus wage tips fuel oil gas water power volts amps
    watts heat temp wind rain snow level stock parts bolts nuts pipes tiles doors lamps chairs desks beds cups plates
    forks pens books pages maps cards boxes crates bags cans jars kegs sacks tons miles hours days weeks years age born
    zip phone pin code case file folio order batch serial model form plot block floor suite dock track lane zone route
    flight bus tram ferry taxi truck visit ward dose pulse score goals wins rank votes north south east west apples
    pears plums
    """
LABELS: tuple[str, ...] = tuple(_LABEL_WORDS.split())
"""Labels, lower case, at most six letters; a label's number is its index here."""

MAX_VALUE = 5
"""Characters of the longest value: `482.7`."""
MAX_CODES = 8
"""Characters of the longest run of print."""
BLANK = -1
"""Code that stands for no character."""

_SYLLABLES = "ba be bi bo ca ce co da de di do fa fe fi ga go ha he ja ka ki la le li lo ma me mo na ne no"


def encode(text: str) -> list[int]:
    """Codes of a string.

    Raises:
        ValueError: a character outside the alphabet.
    """
    return [ALPHABET.index(ch) for ch in text]


def code_rows(texts: list[str], width: int) -> NDArray[np.int16]:
    """`[len(texts), width]` codes, `BLANK` after the end of each string."""
    rows = np.full((len(texts), width), BLANK, np.int16)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = encode(text)
    return rows


@lru_cache(maxsize=1)
def label_codes() -> NDArray[np.int16]:
    """`[labels, 3, MAX_CODES]`: every label in upper, title and lower case. Read-only: shared between calls."""
    styles = [code_rows([style(word) for word in LABELS], MAX_CODES) for style in (str.upper, str.title, str.lower)]
    return np.stack(styles, axis=1)


@lru_cache(maxsize=1)
def filler_codes() -> NDArray[np.int16]:
    """`[fillers, MAX_CODES]`: pseudo-words that are no label, for headings and unasked print. Read-only: shared."""
    pairs = [a + b for a in _SYLLABLES.split() for b in _SYLLABLES.split()]
    words = [word for word in pairs[::7] if word not in LABELS]
    return code_rows([word.upper() for word in words] + [word.title() for word in words], MAX_CODES)
