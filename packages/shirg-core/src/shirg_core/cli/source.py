"""The images that a command is about: files, folders of them, or standard input."""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TextIO

from PIL import Image

from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.output import STANDARD
from shirg_core.images import ImageError, count_pages, load_image

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pdf", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Files of a folder that are images."""


class Source(NamedTuple):
    """An upright RGB image, the SHA-256 of the file that it came from, and how many pages that has."""

    image: Image.Image
    sha256: str
    pages: int

    def place(self, page: int) -> str | None:
        """`2 of 3` for one of several pages, else None."""
        return f"{page} of {self.pages}" if self.pages > 1 else None


def read_image(path: Path, page: int) -> Source:
    """Read an image file, or standard input where `path` is `-`; see `shirg_core.images.load_image`.

    Raises:
        BadInput: an image that cannot be used, or a standard input that is closed or a terminal.
    """
    digest = file_digest(path)
    with _file(path) as file:
        try:
            with bad_input(OSError):
                return Source(load_image(file, page), digest, count_pages(file))
        except ImageError as error:
            raise BadInput(str(error) if file == path else str(error).replace(str(file), "standard input")) from error


def file_digest(path: Path) -> str:
    """SHA-256 of a file or of standard input; empty for what is no regular file.

    Raises:
        BadInput: it cannot be read, or a standard input that is closed or a terminal.
    """
    with _file(path) as file, bad_input(OSError):
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def page_count(path: Path) -> int:
    """Pages of a file or of standard input; 1 for what cannot be read, which reading it will say.

    Raises:
        BadInput: a standard input that is closed or a terminal.
    """
    with _file(path) as file:
        return count_pages(file)


@contextmanager
def _file(path: Path) -> Iterator[Path]:
    """The file itself, or one with what standard input holds."""
    if path != STANDARD:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="shirg-") as scratch:
        file = Path(scratch) / "image"
        with bad_input(OSError, prefix="standard input: "):
            file.write_bytes(read_standard_input("the image"))
        yield file


def read_standard_input(what: str) -> bytes:
    """What standard input holds, read once: a document of several pages is asked for again.

    Raises:
        BadInput: it is closed or a terminal.
    """
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise BadInput(f"{what} - is standard input, which is a terminal or closed: pipe something into it")
    return _read(sys.stdin)


@lru_cache(maxsize=1)
def _read(stream: TextIO) -> bytes:
    return stream.buffer.read()


def page_numbers(text: str) -> list[int] | None:
    """The pages of `2` or `1-3,5`; None for `all`.

    Raises:
        BadInput: anything else.
    """
    if text == "all":
        return None
    pages: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if ends is None or not 1 <= int(ends[1]) <= int(ends[2] or ends[1]):
            raise BadInput(f"--page or --pages must be a page from 1, several such as 1-3,5, or all, got {text!r}")
        pages += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    return pages


def image_files(image: Path) -> list[Path]:
    """The file itself, or the images in a folder, by name.

    Raises:
        BadInput: there are none.
    """
    with bad_input(OSError):
        if not image.is_dir():
            return [image]
        found = sorted(path for path in image.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise BadInput(f"{image}: no image in this folder: {', '.join(SUFFIXES)}")
    return found
