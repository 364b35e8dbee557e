"""Options of a method that chooses later, as a person types them: `wider=3,steps=2,layers=-1`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from shirg_core.checks import check_known
from shirg_core.methods import METHODS, Method, get_method


class _Kind(NamedTuple):
    read: Callable[[str], Any]
    words: str


_KINDS: Mapping[str, _Kind] = {
    "int": _Kind(int, "a whole number"),
    "float": _Kind(float, "a number"),
    "int | float": _Kind(lambda text: int(text) if text.isdigit() else float(text), "a count or a fraction"),
    "tuple[int, ...] | None": _Kind(
        lambda text: tuple(int(each) for each in text.split("+")), "layers with + between them, such as 2+3"
    ),
    "str": _Kind(str, "a name"),
}
"""By a field's annotation."""


def static_method(text: str) -> tuple[Method, dict[str, Any]]:
    """The method that makes a static selection, and its options, of `v4` or `v4:text_weight=0:coverage=cells`.

    Raises:
        ValueError: an unknown method, one that does not keep exactly K before the model, or something malformed.
    """
    name, *pairs = text.split(":")
    method = get_method(name)
    if method.selector is None or not method.takes_budget:
        raise ValueError(f"static must be a method that keeps exactly K and chooses once, got {name!r}")
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise ValueError(f"static={text!r}: an option must be FIELD=VALUE, got {wrong[0]!r}")
    options: dict[str, Any] = {}
    for key, _, value in (pair.partition("=") for pair in pairs):
        if key == "budget" or key in options:
            raise ValueError(f"static={text!r}: {key} is given already{', by --budget' if key == 'budget' else ''}")
        options[key] = _value(value)
    return method, options


def _value(text: str) -> int | float | str:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def later_options(method: Method, text: str | None) -> dict[str, Any]:
    """Fields of the method's class.

    Raises:
        ValueError: a method that has none, an unknown name, or a value of another kind.
    """
    if text is None:
        return {}
    kind = method.later_type
    if kind is None:
        known = " and ".join(name for name, each in METHODS.items() if each.later is not None and not each.only)
        raise ValueError(f"method {method.name!r} chooses once: options {text!r} are for {known}")
    kinds = {each.name: _KINDS[str(each.type)] for each in fields(kind) if each.name != "budget"}
    options: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = (each.strip() for each in part.partition("="))
        check_known(name, kinds, f"option of method {method.name!r}:")
        if name in options:
            raise ValueError(f"options of method {method.name!r}: {name} is given twice, got {text!r}")
        try:
            options[name] = kinds[name].read(value)
        except ValueError as error:
            raise ValueError(f"{name} must be {kinds[name].words}, got {value!r}") from error
    return options
