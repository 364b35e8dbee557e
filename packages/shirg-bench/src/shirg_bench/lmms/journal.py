"""Answers given so far, so that a killed evaluation goes on where it stood.

A folder of JSON-lines files, one per process: one line a batch, its key and its replies. A key says everything that
determines the answers, which batch they were sampled in included: a line is used when the very same batch comes up
again, so a resumed run's answers are bit for bit those of an uninterrupted one. (lmms-eval's own `--use_cache` leaves
images, weights and code out of its keys.)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from shirg_bench.lmms.reply import Reply


class Journal:
    """A folder's lines by key, and this process's file to add to.

    Args:
        folder: made if it is not there; None keeps no journal.
        rank: of this process.

    Attributes:
        damaged: where lines stand that are no entries, `file, line number`. They are set aside: what they held is
            answered again. A torn last line, which a killed process leaves, is not among them.

    Raises:
        OSError: the folder cannot be read or written.
    """

    def __init__(self, folder: Path | None, rank: int = 0) -> None:
        self._path: Path | None = None
        self._replies: dict[str, list[Reply]] = {}
        self.damaged: list[str] = []
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"answers_{rank}.jsonl"
        for path in sorted(folder.glob("answers_*.jsonl")):
            self._read(path)
        if self._path.exists():
            _drop_torn_line(self._path)

    def find(self, key: str) -> list[Reply] | None:
        """A batch's replies, None if it was never answered."""
        return self._replies.get(key)

    def add(self, key: str, replies: Sequence[Reply]) -> None:
        """Write a batch's replies; once this returns, the end of the process does not lose them."""
        if self._path is None:
            return
        line = json.dumps({"key": key, "replies": [asdict(reply) for reply in replies]}, ensure_ascii=False)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _read(self, path: Path) -> None:
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
            try:
                # A power failure leaves zeros where a line was to be written, and the next line right behind them.
                entry = json.loads(line.lstrip(b"\0").decode())
                self._replies[entry["key"]] = [Reply(**reply) for reply in entry["replies"]]
            except (ValueError, KeyError, TypeError):
                self.damaged.append(f"{path.name}, line {number}")


def is_begun(folder: Path) -> bool:
    """Whether a journal holds any answer."""
    return any(path.stat().st_size for path in folder.glob("answers_*.jsonl"))


def _drop_torn_line(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
