"""Errors that end a command with one line instead of a traceback."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class BadInput(Exception):  # noqa: N818 (it names what the user gave, not what the program did)
    """What the user gave cannot be used: one line on stderr, exit code 2."""

    exit_code = 2


class RunFailed(BadInput):
    """A run that could not be finished: one line on stderr, exit code 1."""

    exit_code = 1


@contextmanager
def bad_input(*kinds: type[Exception], prefix: str = "", options: Collection[str] = ()) -> Iterator[None]:
    """Turn exceptions of `kinds`, raised on the user's input, into `BadInput` with the same message.

    Args:
        kinds: of exceptions.
        prefix: before the message.
        options: Python arguments that the user gave as options of a command: the message calls them so.
    """
    try:
        yield
    except kinds as error:
        raise BadInput(f"{prefix}{in_options(str(error), options)}") from error


def in_options(message: str, arguments: Collection[str]) -> str:
    """A message about `arguments` in a command's words.

    `block_length must be …` becomes `--block-length must be …`, `steps=7` becomes `--steps 7`, and `cache=False`
    `--no-cache`.
    """
    names = "|".join(arguments)
    return re.sub(rf"^({names})\b(?!=)|\b({names})=(\"[^\"]*\"|[^\s,:;)]+)", _option, message) if names else message


def _option(found: re.Match[str]) -> str:
    name, value = (found[1] or found[2]).replace("_", "-"), found[3]
    if value in ("True", "False"):
        return f"--{name}" if value == "True" else f"--no-{name}"
    return f"--{name}" if value is None else f"--{name} {value.strip(chr(34))}"
