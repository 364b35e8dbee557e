"""The image that a command is about: a file, or standard input."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.output import STANDARD
from shirg_core.images import ImageError, load_image


class Source(NamedTuple):
    """An upright RGB image, and the SHA-256 of the file that it came from."""

    image: Image.Image
    sha256: str


def read_image(path: Path, page: int) -> Source:
    """Read an image file, or standard input where `path` is `-`; see `shirg_core.images.load_image`.

    Raises:
        BadInput: an image that cannot be used, or a standard input that is closed or a terminal.
    """
    if path != STANDARD:
        with bad_input(ImageError, OSError):
            return Source(load_image(path, page), hashlib.sha256(path.read_bytes()).hexdigest())
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise BadInput("the image - is standard input, which is a terminal or closed: pipe an image into it")
    with tempfile.TemporaryDirectory(prefix="shirg-") as scratch:
        file = Path(scratch) / "image"
        with bad_input(OSError, prefix="standard input: "):
            file.write_bytes(sys.stdin.buffer.read())
        try:
            return Source(load_image(file, page), hashlib.sha256(file.read_bytes()).hexdigest())
        except ImageError as error:
            raise BadInput(str(error).replace(str(file), "standard input")) from error
