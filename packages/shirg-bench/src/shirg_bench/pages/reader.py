"""A real reader: PP-OCRv6 small, detector and recogniser, whose models come inside the wheel `rapidocr`.

A line is **read** where its letters and digits stand, in order and without case, spaces or marks, in what the reader
found at its place; a word, likewise. Found at its place is what lies in the line's row and overlaps it, left to right.
Readers split and join words as they like, and do not mind whose box a comma is in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias

import torch

from shirg_bench.pages.page import Box, Line
from shirg_bench.pages.shown import Pixels

Found: TypeAlias = "list[tuple[str, Box]]"
"""Text and its box, each in shares of the page's width and height."""
NAME = "ppocrv6-small"


class Read(NamedTuple):
    """How much of a page was read.

    Attributes:
        words: share of its words.
        lines: share of its lines.
    """

    words: float
    lines: float


def load_reader() -> Callable[[Pixels], Found]:
    """A function from `[H, W, 3]` RGB to what is read there.

    Every option is given here and none with a call: one that is given with a call stays for later ones. Pages are
    upright, so lines are not turned.

    Raises:
        ModuleNotFoundError: the extra `real` is not installed.
    """
    from rapidocr import RapidOCR

    threads = torch.get_num_threads()
    engine: Any = RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )

    def read(page: Pixels) -> Found:
        height, width = page.shape[:2]
        # OpenCV's order of channels.
        output = engine(page[..., ::-1])
        if output.txts is None:
            return []
        corners = ((box.min(0), box.max(0)) for box in output.boxes)
        boxes = [(low[0] / width, low[1] / height, high[0] / width, high[1] / height) for low, high in corners]
        return [(text, _floats(box)) for text, box in zip(output.txts, boxes, strict=True)]

    return read


def read_share(lines: Sequence[Line], found: Found, size: tuple[int, int]) -> Read:
    """How much of what is printed was read.

    Args:
        lines: of the page.
        found: by the reader.
        size: `(width, height)` of the page in the pixels of `lines`.
    """
    width, height = size
    words: list[bool] = []
    whole: list[bool] = []
    for line in lines:
        x0, y0, x1, y1 = line.box
        here = (x0 / width, y0 / height, x1 / width, y1 / height)
        text = _plain("".join(text for text, box in sorted(found, key=lambda each: each[1][0]) if _meet(here, box)))
        if _plain(line.text):
            whole.append(_plain(line.text) in text)
            words += [_plain(word) in text for word in line.text.split() if _plain(word)]
    if not whole:
        return Read(float("nan"), float("nan"))
    return Read(sum(words) / len(words), sum(whole) / len(whole))


def picture_key(page: Pixels) -> str:
    """What determines a reading: the picture and the reader."""
    content = blake2b(page.tobytes(), digest_size=12)
    content.update(f"{page.shape} {NAME}".encode())
    return content.hexdigest()


def _plain(text: str) -> str:
    return "".join(ch for ch in text.casefold() if ch.isalnum())


def _meet(line: Box, found: Box) -> bool:
    """Whether a found box lies in a line's row and overlaps it."""
    overlap = min(line[3], found[3]) - max(line[1], found[1])
    in_row = overlap > 0.5 * min(line[3] - line[1], found[3] - found[1])
    return in_row and found[0] < line[2] and line[0] < found[2]


def _floats(box: Sequence[Any]) -> Box:
    x0, y0, x1, y1 = (round(float(edge), 5) for edge in box)
    return x0, y0, x1, y1
