"""Errors that end a command with one line instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class BadInput(Exception):  # noqa: N818 (it names what the user gave, not what the program did)
    """What the user gave cannot be used: one line on stderr, exit code 2."""

    exit_code = 2


class RunFailed(BadInput):
    """A run that could not be finished: one line on stderr, exit code 1."""

    exit_code = 1


@contextmanager
def bad_input(*kinds: type[Exception], prefix: str = "") -> Iterator[None]:
    """Turn exceptions of `kinds`, raised on the user's input, into `BadInput` with the same message."""
    try:
        yield
    except kinds as error:
        raise BadInput(f"{prefix}{error}") from error
