"""Values as lmms-eval hands them over: typed ones from YAML, strings from a command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from shirg_core.checks import check_known

Kind: TypeAlias = Callable[[object], Any]
_SWITCH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def switch(value: object) -> bool:
    """True or false, in any spelling people use."""
    text = str(value).strip().lower()
    if text not in _SWITCH:
        raise ValueError(f"expected true or false, got {value!r}")
    return _SWITCH[text]


def count(value: object) -> int:
    """An integer; `16.0` is one, `16.5` and `True` are not."""
    number = amount(value)
    if isinstance(value, bool) or not number.is_integer():
        raise ValueError(f"expected an integer, got {value!r}")
    return int(number)


def amount(value: object) -> float:
    """A number."""
    try:
        return float(str(value))
    except ValueError:
        raise ValueError(f"expected a number, got {value!r}") from None


def text(value: object) -> str:
    """Text as it is."""
    return str(value)


def is_none(value: object) -> bool:
    """Whether this leaves an argument out: None, or `none` in any spelling."""
    return value is None or str(value).strip().lower() == "none"


def typed(given: Mapping[str, object], kinds: Mapping[str, Kind], what: str) -> dict[str, Any]:
    """`given` with every value of its kind; those that are None or spelt `none` are left out.

    Raises:
        ValueError: an unknown name or a value of another kind; the message says which are known.
    """
    for name in given:
        check_known(name, kinds, what)
    result = {}
    for name, value in given.items():
        if is_none(value):
            continue
        try:
            result[name] = kinds[name](value)
        except ValueError as error:
            raise ValueError(f"{what} {name}: {error}") from None
    return result
