"""Writing files and folders so that a reader never sees half of one."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

UNFINISHED = ".shirg-"
"""How the names of temporary files and folders begin. A killed process leaves its own behind."""

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""How a file begins that stands for one in git-lfs."""


@contextmanager
def atomic_path(target: Path | str, *, durable: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `target`; rename it to `target` when the block ends well, remove it otherwise.

    The temporary file's name is short, because the target's may be as long as names get. It has the target's suffix, so
    that libraries which choose a format by suffix do the right thing, and lies in the same folder because a rename is
    atomic only within one file system.

    Args:
        target: the file to create or replace; its folder must exist.
        durable: flush it to the disk first, so that a power failure leaves the old file or the new one.

    Raises:
        OSError: the folder cannot be written to, or the target is a folder.
    """
    target = Path(target)
    handle, name = tempfile.mkstemp(prefix=UNFINISHED, suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; the result gets the permissions of any newly created file.
        temporary.chmod(0o666 & ~_umask())
        if durable:
            flush(temporary)
        temporary.replace(target)
        if durable:
            flush(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path | str, *, durable: bool = False) -> Iterator[Path]:
    """As `atomic_path`, with a folder, which replaces a folder that is there.

    Args:
        target: the folder to create or replace; its parent must exist.
        durable: flush everything in it to the disk first.

    Raises:
        OSError: the parent cannot be written to; a folder that was there is as it was.
    """
    target = Path(target)
    scratch = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=target.parent))
    fresh, old = scratch / "fresh", scratch / "old"
    try:
        fresh.mkdir()
        yield fresh
        if durable:
            for path in (*fresh.rglob("*"), fresh):
                flush(path)
        try:
            if target.exists():
                target.rename(old)
            fresh.rename(target)
        except BaseException:
            if old.exists() and not target.exists():
                old.rename(target)
            raise
        if durable:
            flush(target.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(target: Path | str, text: str) -> None:
    """Create or replace a text file in UTF-8, whole or not at all.

    Raises:
        OSError: see `atomic_path`.
    """
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path, what: str) -> dict[str, Any]:
    """A JSON object from a file.

    Args:
        path: the file.
        what: what it belongs to, which begins the message of every error.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a JSON object.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{what}: no {path.name} in {path.parent}")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{what}: {lfs_pointer(path) or f'{path} is not JSON ({error})'}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{what}: {path} must hold a JSON object, got {type(value).__name__}")
    return value


def lfs_pointer(path: Path) -> str | None:
    """One sentence for a file that holds a git-lfs pointer instead of its content, such as in a clone; else None."""
    with path.open("rb") as file:
        pointer = file.read(len(LFS_POINTER)) == LFS_POINTER
    return (
        f"{path} is a git-lfs pointer, not the file itself: run `git lfs pull` in its repository" if pointer else None
    )


def flush(path: Path) -> None:
    """Wait until a file's content, or which names a folder holds, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
