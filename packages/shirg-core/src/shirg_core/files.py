"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `target`; rename it to `target` when the block ends well, remove it otherwise.

    The temporary file's name is short, because the target's may be as long as names get. It has the target's suffix, so
    that libraries which choose a format by suffix do the right thing, and lies in the same folder because a rename is
    atomic only within one file system.

    Args:
        target: the file to create or replace; its folder must exist.

    Raises:
        OSError: the folder cannot be written to, or the target is a folder.
    """
    target = Path(target)
    handle, name = tempfile.mkstemp(prefix=".shirg-", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; the result gets the permissions of any newly created file.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
