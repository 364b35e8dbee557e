"""Checks of what people give, for arguments, recipes and options: numbers, and names out of a few.

Python's and NumPy's numbers are numbers; booleans and text are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from numbers import Integral, Real


def real(
    name: str,
    value: object,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    infinite: bool = False,
) -> float:
    """`value` as a Python float.

    Args:
        name: of the argument, for the message.
        value: what was given.
        low: smallest allowed value.
        high: largest allowed value.
        above: open lower bound, instead of `low`.
        infinite: whether infinity is allowed.

    Raises:
        ValueError: not a number (a boolean, text, NaN), or out of range.
    """
    if not isinstance(value, bool) and isinstance(value, Real):
        number = float(value)
        finite = math.isfinite(number) or (infinite and not math.isnan(number))
        if finite and _inside(number, low, high) and (above is None or number > above):
            return number
    kind = "a number" if infinite or high is not None else "a finite number"
    raise ValueError(f"{name} must be {kind}{_range(low, high, above)}, got {value!r}")


def integer(name: str, value: object, *, low: int | None = None, high: int | None = None) -> int:
    """`value` as a Python integer; arguments as in `real`.

    Raises:
        ValueError: not an integer (a boolean, `8.0`, text), or out of range.
    """
    if not isinstance(value, bool) and isinstance(value, Integral) and _inside(int(value), low, high):
        return int(value)
    raise ValueError(f"{name} must be an integer{_range(low, high, None)}, got {value!r}")


def count_or_share(name: str, value: object) -> int | float:
    """`value` as a Python integer or float: counts and shares often come out of NumPy; arguments as in `real`.

    Raises:
        ValueError: neither an integer ≥ 1 nor a fraction in (0, 1].
    """
    if not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 1:
        return int(value)
    if isinstance(value, Real) and not isinstance(value, Integral) and 0 < float(value) <= 1:
        return float(value)
    raise ValueError(f"{name} must be an integer ≥ 1 or a fraction in (0, 1], got {value!r}")


def random_seed(name: str, value: object) -> int:
    """`value` as a seed that torch's generators take; arguments as in `real`.

    Raises:
        ValueError: not an integer in [0, 2⁶³).
    """
    if not isinstance(value, bool) and isinstance(value, Integral) and 0 <= int(value) < 2**63:
        return int(value)
    raise ValueError(f"{name} must be an integer in [0, 2⁶³), got {value!r}")


def keep(config: object, check: Callable[..., float], *names: str, **bounds: float) -> None:
    """Check fields of a frozen dataclass, and make NumPy's numbers Python's, which kernels and compiled graphs take.

    The check is `real`, `integer` or `random_seed`, with these bounds.

    Raises:
        ValueError: as `check`.
    """
    for name in names:
        object.__setattr__(config, name, check(name, getattr(config, name), **bounds))


def check_known(name: str, known: Iterable[str], what: str) -> None:
    """Refuse a name that is not known.

    Raises:
        ValueError: naming it, the most similar known one, and all of them.
    """
    names = list(known)
    if name not in names:
        similar = get_close_matches(name, names, 1)
        hint = f", did you mean {similar[0]!r}?" if similar else ";"
        raise ValueError(f"unknown {what} {name!r}{hint} known: {', '.join(names)}")


def check_choice(name: str, value: object, choices: Iterable[str | None]) -> None:
    """Refuse a word that is not one of a few.

    None is among `choices` where nothing need be given.

    Raises:
        ValueError: naming it and all of them.
    """
    words = list(choices)
    if value not in words:
        raise ValueError(f"{name} must be one of {', '.join(map(str, words))}, got {value!r}")


def _inside(number: float, low: float | None, high: float | None) -> bool:
    return (low is None or number >= low) and (high is None or number <= high)


def _range(low: float | None, high: float | None, above: float | None) -> str:
    if high is not None:
        bracket, start = ("(", above) if above is not None else ("[", -math.inf if low is None else low)
        return f" in {bracket}{start:g}, {high:g}]"
    if above is not None:
        return f" > {above:g}"
    return "" if low is None else f" ≥ {low:g}"
