"""Names in one option, with commas and any white space between them."""

from __future__ import annotations

from shirg_core.cli.errors import BadInput


def split_names(option: str, text: str) -> tuple[str, ...]:
    """`a, b` → `("a", "b")`.

    Raises:
        BadInput: nothing named, or something twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise BadInput(f"{option} takes different names separated by commas, got {text!r}")
    return names


def distinct_names(text: str) -> tuple[str, ...]:
    """`a, b,a` → `("a", "b")`, for options where a name that is given twice counts once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",")))


def variant_parts(name: str) -> tuple[str, str, str]:
    """Method, budget and views of what `shirg bench` times: `v3-768@single` → `v3`, `768`, `@single`.

    The last two may be empty.
    """
    rest, at, views = name.partition("@")
    method, _, amount = rest.rpartition("-")
    return (method, amount, at + views) if amount[:1].isdigit() else (rest, "", at + views)
