"""One run at a time in an output folder."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shirg_train.recipe import RecipeError

LOCK_FILE = ".lock"
_log = logging.getLogger(__name__)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Make a folder, and keep other runs out of it.

    The lock is the operating system's and ends with the process, however that ends: the file that stays behind says
    nothing.

    Raises:
        RecipeError: another run holds it, or it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_FILE).open("a")
    except OSError as error:
        raise RecipeError(f"output: {error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RecipeError(f"output: {folder} is in use by another run; wait for it, or choose another") from error
        except OSError as error:
            _log.warning("%s cannot be locked (%s): start no second run there", folder, error)
        yield
