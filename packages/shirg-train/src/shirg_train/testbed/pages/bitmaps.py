"""A hand-made face five pixels high, for print smaller than any outline font stays legible at. Capitals only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shirg_train.testbed.pages.words import ALPHABET

CAP_HEIGHT_PX = 5

_ROWS = """
0 ### #.# #.# #.# ###
1 .#. ##. .#. .#. ###
2 ##. ..# .#. #.. ###
3 ##. ..# .#. ..# ##.
4 #.# #.# ### ..# ..#
5 ### #.. ##. ..# ##.
6 .## #.. ### #.# ###
7 ### ..# ..# .#. .#.
8 ### #.# ### #.# ###
9 ### #.# ### ..# ##.
A .#. #.# ### #.# #.#
B ##. #.# ##. #.# ##.
C .## #.. #.. #.. .##
D ##. #.# #.# #.# ##.
E ### #.. ##. #.. ###
F ### #.. ##. #.. #..
G .## #.. #.# #.# .##
H #.# #.# ### #.# #.#
I ### .#. .#. .#. ###
J ..# ..# ..# #.# .#.
K #.# #.# ##. #.# #.#
L #.. #.. #.. #.. ###
M #...# ##.## #.#.# #...# #...#
N #..# ##.# #.## #..# #..#
O .#. #.# #.# #.# .#.
P ##. #.# ##. #.. #..
Q .##. #..# #..# #.#. .#.#
R ##. #.# ##. #.# #.#
S .## #.. .#. ..# ##.
T ### .#. .#. .#. .#.
U #.# #.# #.# #.# ###
V #.# #.# #.# #.# .#.
W #...# #...# #.#.# ##.## #...#
X #.# #.# .#. #.# #.#
Y #.# #.# .#. .#. .#.
Z ### ..# .#. #.. ###
: . # . # .
. . . . . #
, .. .. .. .# #.
- ... ... ### ... ...
% #.# ..# .#. #.. #.#
/ ..# ..# .#. #.. #..
"""


def tiny_glyphs() -> list[NDArray[np.uint8]]:
    """Alpha (0 or 255) of every character of the alphabet, `[5, width]` each; small letters look like capitals."""
    drawn = {" ": np.zeros((CAP_HEIGHT_PX, 2), np.uint8)}
    for line in _ROWS.strip().splitlines():
        character, *rows = line.split(" ")
        drawn[character] = np.array([[255 * (pixel == "#") for pixel in row] for row in rows], np.uint8)
    return [drawn[character.upper()] for character in ALPHABET]
