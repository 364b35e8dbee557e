"""What was computed so far, so that a killed run resumes.

A folder of JSON-lines files, one per process: one line a value, with a key that says everything that determines it.
Where a value is one batch's answers, the key says the batch, too: a resumed run's answers are bit for bit those of an
uninterrupted one. (lmms-eval's own `--use_cache` leaves images, weights and code out of its keys.)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Journal(Generic[T]):
    """A folder's lines by key, and this process's file to add to.

    Args:
        folder: made if it is not there; None keeps no journal.
        decode: makes a value from JSON's types; raises ValueError, KeyError or TypeError on anything else.
        rank: of this process; no two write to one file.

    Attributes:
        damaged: where lines stand that are no entries, `file, line number`. They are set aside: what they held is
            computed again. A torn last line, which a killed process leaves, is not among them.

    Raises:
        OSError: the folder cannot be read or written.
    """

    def __init__(self, folder: Path | None, decode: Callable[[Any], T], rank: int = 0) -> None:
        self._path: Path | None = None
        self._decode = decode
        self._values: dict[str, T] = {}
        self.damaged: list[str] = []
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"answers_{rank}.jsonl"
        for path in sorted(folder.glob("answers_*.jsonl")):
            self._read(path)
        if self._path.exists():
            _drop_torn_line(self._path)

    def find(self, key: str) -> T | None:
        """The value, None if it was never computed."""
        return self._values.get(key)

    def values(self) -> Collection[T]:
        """All values."""
        return self._values.values()

    def add(self, key: str, value: T) -> None:
        """Write a value of JSON's types, dataclasses and arrays; once this returns, killing the process keeps it."""
        if self._path is None:
            return
        line = json.dumps({"key": key, "value": value}, ensure_ascii=False, default=_encoded)
        with self._path.open("ab", buffering=0) as file:
            file.write(f"{line}\n".encode())
        self._values[key] = value

    def _read(self, path: Path) -> None:
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
            try:
                # A power failure leaves zeros where a line was to be written, and the next line right behind them.
                entry = json.loads(line.lstrip(b"\0").decode())
                self._values[entry["key"]] = self._decode(entry["value"])
            except (ValueError, KeyError, TypeError):
                self.damaged.append(f"{path.name}, line {number}")


def is_begun(folder: Path) -> bool:
    """Whether a journal holds any value."""
    return any(path.stat().st_size for path in folder.glob("answers_*.jsonl"))


def _encoded(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value.tolist()


def _drop_torn_line(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
