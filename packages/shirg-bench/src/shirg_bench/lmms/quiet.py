"""lmms-eval talks to stdout, stderr and loguru's default logger; a run's words go into a file instead."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO

from loguru import logger


@contextmanager
def talk_into(path: Path) -> Iterator[TextIO]:
    """Send all of it to `path`; a traceback that passes is written there, too."""
    with path.open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        logger.remove()
        logger.add(file, level="INFO", format="{time} {level} {name} {message}")
        try:
            with warnings.catch_warnings():
                # Upstream's are for its developers.
                warnings.simplefilter("ignore")
                yield file
        except BaseException:
            traceback.print_exc(file=file)
            raise
        finally:
            logger.remove()
            logger.add(sys.__stderr__ or file)
