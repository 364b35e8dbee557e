"""Folders in the layout of SROIE (ICDAR 2019): scanned receipts with their words and places, read as published.

    img/NAME.jpg     the scan (also .png)
    box/NAME.csv     x1,y1,x2,y2,x3,y3,x4,y4,text         a line of print each: corners in pixels, then words; Latin-1
    key/NAME.json    {"company", "date", "address", "total"}, each optional; the file, too

The receipt's **value** is its total. The key says which number it is, not where: it is taken to stand in the last line
that shows this number in the row of a line that says TOTAL (rows: the centre of one lies within the other's height);
where no such row shows it, in the last line that shows it at all; where none does, or the key has no total, it is
unknown. Of a line that says more, the value covers the number's share of the width, by characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from shirg_bench.pages.page import Box, Line, PrintedPage
from shirg_core.images.load import load_image

SUFFIXES = (".jpg", ".jpeg", ".png")
CORNERS = 8


class Receipts:
    """Pages of a folder.

    Args:
        folder: holds `img` and `box`, and `key` if totals are known.

    Raises:
        ValueError: another layout, or no scans.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "img").is_dir() or not (folder / "box").is_dir():
            raise ValueError(f"{folder} must hold img/ and box/, as SROIE is published")
        self.name = folder.name
        self._folder = folder
        if not self._images:
            raise ValueError(f"{folder / 'img'} has no scans ({', '.join(SUFFIXES)})")

    @cached_property
    def _images(self) -> dict[str, Path]:
        paths = sorted((self._folder / "img").iterdir())
        return {path.stem: path for path in paths if path.suffix.lower() in SUFFIXES}

    def keys(self) -> Sequence[str]:
        """Names without suffix, sorted."""
        return list(self._images)

    def digest(self, key: str) -> str:
        """Of the scan and what is known of it."""
        paths = [self._images[key], self._boxes(key), self._key(key)]
        content = (path.read_bytes() if path.is_file() else b"" for path in paths)
        return blake2b(b"\0".join(content), digest_size=8).hexdigest()

    def load(self, key: str) -> PrintedPage:
        """See `Source`."""
        image = load_image(self._images[key])
        path = self._boxes(key)
        if not path.is_file():
            raise ValueError(f"{self._images[key]} has no annotation: {path} is not there")
        lines, unreadable, outside = read_lines(path.read_bytes().decode("latin-1"), image.size)
        if not lines:
            raise ValueError(f"{path} has no line of print inside the page")
        total = read_total(self._key(key))
        value = () if total is None else find_value(lines, total)
        return PrintedPage(image, lines, value, unreadable, outside)

    def _boxes(self, key: str) -> Path:
        return self._folder / "box" / f"{key}.csv"

    def _key(self, key: str) -> Path:
        return self._folder / "key" / f"{key}.json"


def read_lines(text: str, size: tuple[int, int]) -> tuple[list[Line], int, int]:
    """An annotation's lines of print.

    Args:
        text: see the module.
        size: `(width, height)` of the page in pixels.

    Returns:
        The lines, how many could not be read, and how many boxes do not touch the page.
    """
    lines, unreadable, outside = [], 0, 0
    for row in filter(None, (row.strip() for row in text.splitlines())):
        *corners, words = row.split(",", CORNERS) if row.count(",") >= CORNERS else [row]
        try:
            numbers = [float(number) for number in corners]
        except ValueError:
            numbers = []
        if len(numbers) != CORNERS or not words.strip():
            unreadable += 1
            continue
        (x0, x1), (y0, y1) = ((min(axis), max(axis)) for axis in (numbers[::2], numbers[1::2]))
        box = max(x0, 0.0), max(y0, 0.0), min(x1, float(size[0])), min(y1, float(size[1]))
        # NaN compares false.
        if box[0] < box[2] and box[1] < box[3]:
            lines.append(Line(words.strip(), (box,)))
        else:
            outside += 1
    return lines, unreadable, outside


def read_total(path: Path) -> str | None:
    """The number in `total` of a key file; None where the file, the entry or a number is missing.

    Raises:
        ValueError: a file that is not a JSON object.
    """
    if not path.is_file():
        return None
    try:
        key = json.loads(path.read_bytes().decode("latin-1"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(key, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(key).__name__}")
    number = re.search(r"\d[\d.,]*", str(key.get("total", "")))
    return None if number is None else number[0].rstrip(".,")


def find_value(lines: Sequence[Line], total: str) -> tuple[Box, ...]:
    """Where the total stands, see the module; empty = nowhere."""
    number = re.compile(rf"(?<![\d.,]){re.escape(total)}(?![.,]?\d)")
    showing = [(line, found) for line in lines if (found := number.search(line.text))]
    totals = [line.box for line in lines if "TOTAL" in line.text.upper()]
    in_total_row = [(line, found) for line, found in showing if any(_same_row(line.box, box) for box in totals)]
    if not showing:
        return ()
    line, found = (in_total_row or showing)[-1]
    x0, y0, x1, y1 = line.box
    per_character = (x1 - x0) / len(line.text)
    return ((x0 + found.start() * per_character, y0, x0 + found.end() * per_character, y1),)


def _same_row(one: Box, other: Box) -> bool:
    return any(a[1] <= (b[1] + b[3]) / 2 <= a[3] for a, b in ((one, other), (other, one)))
