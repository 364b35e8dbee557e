"""LLaVA's layout: one JSON list (or JSON lines) of conversations, and a folder of images.

LCS-558K is `blip_laion_cc_sbu_558k.json` beside its image folder. Only the offsets of its entries are kept in memory.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from shirg_train.data.record import CorruptSampleError, Record, content_mark, parse_turns

_CHUNK = 1 << 20
_SPACE = re.compile(r"[ \t\n\r]*")


class JsonSource:
    """Conversations from a `.json` list or `.jsonl` lines.

    Args:
        path: the file.
        image_folder: what the entries' `image` paths are relative to.

    Raises:
        OSError: the file or the folder is not there.
        ValueError: the file is not a JSON list; the message names the place.
    """

    groups = None

    def __init__(self, path: Path, image_folder: Path) -> None:
        if not image_folder.is_dir():
            raise FileNotFoundError(f"no image folder {image_folder}")
        self.path, self.image_folder = path, image_folder
        self.offsets = array("q")
        self.lengths = array("q")
        for offset, length in _line_spans(path) if path.suffix == ".jsonl" else _list_spans(path):
            self.offsets.append(offset)
            self.lengths.append(length)

    @cached_property
    def fingerprint(self) -> str:
        """Of the conversations."""
        return content_mark([self.path], whole=True)

    def __len__(self) -> int:
        return len(self.offsets)

    def read(self, index: int) -> Record:
        """Sample number `index`.

        Raises:
            CorruptSampleError: not an object with a conversation.
        """
        with self.path.open("rb") as file:
            file.seek(self.offsets[index])
            text = file.read(self.lengths[index])
        try:
            entry = json.loads(text)
        except ValueError as error:
            raise CorruptSampleError(f"json: entry {index} of {self.path.name}: {error}") from error
        if not isinstance(entry, dict):
            raise CorruptSampleError(f"json: entry {index} of {self.path.name} is not an object")
        images = entry.get("image") or []
        names = [images] if isinstance(images, str) else images
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise CorruptSampleError(f"json: image of entry {index} must be a path or a list of paths, got {images!r}")
        key = str(entry.get("id", index))
        return Record(key, tuple(self.image_folder / name for name in names), parse_turns(entry.get("conversations")))


def _line_spans(path: Path) -> Iterator[tuple[int, int]]:
    """Offset and length in bytes of every line that is not empty."""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                yield offset, len(line)
            offset += len(line)


def _list_spans(path: Path) -> Iterator[tuple[int, int]]:
    """Offset and length in bytes of every entry of a JSON list, reading a piece of the file at a time."""
    decoder = json.JSONDecoder()
    # Latin-1 makes every byte one character, so that places in the text are places in the file.
    with path.open(encoding="latin-1", newline="") as file:
        text, start_of_text = file.read(_CHUNK), 0
        while (at := _after_space(text, 0)) == len(text) and (piece := file.read(_CHUNK)):
            text, start_of_text = piece, start_of_text + at
        if text[at : at + 1] != "[":
            raise ValueError(f"{path}: not a JSON list: expected '[' at byte {start_of_text + at}")
        at, separated = at + 1, True
        while True:
            at = _after_space(text, at)
            if text[at : at + 1] == "]":
                return
            if text[at : at + 1] == "," and not separated:
                at, separated = _after_space(text, at + 1), True
            try:
                if not separated:
                    raise json.JSONDecodeError("expected ','", text, at)
                _, end = decoder.raw_decode(text, at)
            except json.JSONDecodeError as error:
                piece = file.read(_CHUNK)
                if not piece:
                    place = start_of_text + error.pos
                    raise ValueError(f"{path}: not a JSON list: {error.msg} at byte {place}") from error
                # Perhaps it was only the piece that ended.
                text, start_of_text, at = text[at:] + piece, start_of_text + at, 0
                continue
            yield start_of_text + at, end - at
            at, separated = end, False


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
