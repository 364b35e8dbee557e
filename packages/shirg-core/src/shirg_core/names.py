"""Names and words that people give: unknown ones are refused with those that are known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def check_known(name: str, known: Iterable[str], what: str) -> None:
    """Refuse a name that is not known.

    Args:
        name: what was typed.
        known: all names.
        what: of what kind they are, for the message.

    Raises:
        ValueError: naming it, the most similar known one, and all of them.
    """
    names = list(known)
    if name not in names:
        similar = get_close_matches(name, names, 1)
        hint = f", did you mean {similar[0]!r}?" if similar else ";"
        raise ValueError(f"unknown {what} {name!r}{hint} known: {', '.join(names)}")


def check_choice(name: str, value: object, choices: Iterable[str | None]) -> None:
    """Refuse a word that is none of a few.

    Args:
        name: of the argument, for the message.
        value: what was given.
        choices: all words, and None where nothing need be given.

    Raises:
        ValueError: naming it and all of them.
    """
    words = list(choices)
    if value not in words:
        raise ValueError(f"{name} must be one of {', '.join(map(str, words))}, got {value!r}")
