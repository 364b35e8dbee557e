"""One run at a time in an output folder, or into an output file."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = ".lock"
_log = logging.getLogger(__name__)


@contextmanager
def hold(output: Path, refusal: Callable[[str], Exception], *, file: bool = False) -> Iterator[None]:
    """Make a folder or file, and keep other runs out of it.

    The lock is the operating system's and ends with the process, however that ends: the file that stays behind in a
    folder says nothing.

    Args:
        output: where results go.
        refusal: makes the error to raise from one sentence.
        file: whether it is a file, which must be written in place; else a folder.

    Raises:
        Exception: `refusal`'s: another run holds it, or it cannot be made or written to.
    """
    try:
        if not file:
            output.mkdir(parents=True, exist_ok=True)
        lock = (output if file else output / LOCK_FILE).open("a")
    except OSError as error:
        raise refusal(str(error)) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise refusal(f"{output} is in use by another run; wait for it, or choose another") from error
        except OSError as error:
            _log.warning("%s cannot be locked (%s): start no second run there", output, error)
        yield
