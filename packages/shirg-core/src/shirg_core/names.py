"""Names that people type: an unknown one is refused with the nearest known one."""

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
