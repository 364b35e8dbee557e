"""Recipes: YAML files read into frozen dataclasses. What a recipe may say is what the dataclass has.

An unknown key, a missing one or a value of the wrong type is one error that names the key by its path
(`optim.lr`) and says what would be right.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

T = TypeVar("T")


class RecipeError(ValueError):
    """A recipe that cannot be followed."""

    @classmethod
    def of_output(cls, why: str) -> RecipeError:
        """Its `output` cannot be used."""
        return cls(f"output: {why}")


def read_yaml(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """A recipe's mapping, with `a.b=value` overrides applied (`a.0.b=value` in lists); values are YAML.

    Raises:
        RecipeError: no such file, not text, not a YAML mapping, or an override that cannot be applied.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RecipeError(f"no recipe {path}") from error
    except IsADirectoryError as error:
        raise RecipeError(f"{path} is a folder, not a recipe") from error
    except OSError as error:
        raise RecipeError(f"the recipe cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not YAML: it is not even text in UTF-8 (byte {error.start})") from error
    raw = _parse(text, str(path))
    if not isinstance(raw, dict):
        found = "nothing" if raw is None else f"a {type(raw).__name__}"
        raise RecipeError(f"{path} must hold a mapping such as `kind: adapter`, but holds {found}")
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise RecipeError(f"--set takes key=value, got {override!r}")
        *parents, last = key.split(".")
        node: Any = raw
        for parent in parents:
            child = node[_place(node, parent, override)] if isinstance(node, list) else node.setdefault(parent, {})
            if not isinstance(child, dict | list):
                raise RecipeError(f"--set {override}: {parent} is not a mapping")
            node = child
        node[_place(node, last, override)] = _parse(value, f"--set {override}")
    return raw


def _place(node: dict[str, Any] | list[Any], key: str, override: str) -> Any:
    """A key of a mapping, or the index that it means in a list."""
    if isinstance(node, dict):
        return key
    if not key.isdecimal() or int(key) >= len(node):
        raise RecipeError(f"--set {override}: {key} must be an index below {len(node)}")
    return int(key)


def build(kind: type[T], value: object, path: str = "") -> T:
    """`value` as a dataclass `kind`.

    Raises:
        RecipeError: see the module.
    """
    if concrete := getattr(kind, "concrete", None):
        kind = concrete()
    if hint := getattr(kind, "from_entry", None):
        value = hint(value)
    if not isinstance(value, Mapping):
        raise RecipeError(f"{path or 'the recipe'} must be a mapping, got {value!r}")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]  # T is a dataclass
    if unknown := [str(key) for key in value if key not in known]:
        where = f"{path}.{unknown[0]}" if path else unknown[0]
        raise RecipeError(f"unknown recipe key {where!r}; known here: {', '.join(known)}")
    needed = (n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING)
    if missing := [name for name in needed if value.get(name) is None]:
        raise RecipeError(f"the recipe must set {f'{path}.{missing[0]}' if path else missing[0]}")
    hints = get_type_hints(kind)
    arguments = {name: _convert(hints[name], item, f"{path}.{name}" if path else name) for name, item in value.items()}
    try:
        return kind(**arguments)
    except RecipeError:
        raise
    except ValueError as error:
        # Checks of single values begin with their key.
        text = str(error)
        colon = "." if text.partition(" ")[0] in known else ": "
        raise RecipeError(f"{path}{colon}{text}" if path else text) from error


def plain(value: Any) -> Any:
    """A recipe as what JSON can hold, to record it."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else str(value) if isinstance(value, Path) else value


def changed_keys(
    kind: type[Any], recorded: Mapping[str, Any], recipe: Mapping[str, Any], free: Sequence[str]
) -> dict[str, tuple[Any, Any]]:
    """Where the recipe that a run was begun with and the one it shall go on with differ.

    Args:
        kind: the recipe's dataclass, whose defaults stand for keys that the recorded recipe does not have.
        recorded: what `plain` gave then.
        recipe: what it gives now.
        free: keys that may differ, with all that is below them.

    Returns:
        Dotted key → its value then and now, in order of the keys.
    """
    # Where a key is no longer known, it is one that differs.
    with suppress(RecipeError):
        recorded = plain(build(kind, recorded))
    then, now = leaves(recorded), leaves(recipe)
    return {
        key: (then.get(key), now.get(key))
        for key in sorted(then.keys() | now.keys())
        if then.get(key) != now.get(key) and not any(key == one or key.startswith(f"{one}.") for one in free)
    }


def differences(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """What `changed_keys` found as words for a refusal; of two lists of mappings only the entries that differ."""
    said = []
    for key, (then, now) in changed.items():
        pairs = {key: (then, now)}
        if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
            pairs = {
                name: (old.get(name), new.get(name))
                for number, both in enumerate(zip(then, now, strict=True))
                for old, new in [[leaves(each, f"{key}[{number}]") for each in both]]
                for name in sorted(old.keys() | new.keys())
                if old.get(name) != new.get(name)
            }
        said += [f"{name}: {old!r}, this recipe says {new!r}" for name, (old, new) in pairs.items()]
    return "; ".join(said)


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """A recipe's values by dotted keys; lists are values."""
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    return {
        key: leaf
        for name, item in value.items()
        for key, leaf in leaves(item, f"{path}.{name}" if path else str(name)).items()
    }


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # Not only YAML's own errors: 2001-02-30 is read as a date.
        raise RecipeError(f"{where} is not YAML: {' '.join(str(error).split())}") from error


def _convert(hint: Any, value: Any, path: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, path)
    if origin is Literal:
        return _expect(value in arguments, value, path, " or ".join(map(str, arguments)))
    if origin is tuple:
        _expect(isinstance(value, list | tuple), value, path, "a list")
        return tuple(_convert(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, path)
    if hint is float:
        return _float(value, path)
    if hint is Path:
        return Path(_expect(isinstance(value, str), value, path, "a path"))
    if hint is int:
        return _expect(isinstance(value, int) and not isinstance(value, bool), value, path, "an integer")
    expected = origin or hint
    return _expect(isinstance(value, expected), value, path, f"a {expected.__name__}")


def _convert_union(members: Sequence[Any], value: Any, path: str) -> Any:
    if value is None and type(None) in members:
        return None
    real = [member for member in members if member is not type(None)]
    # An integer stays one where both are allowed: 768 tokens are not the share 768.0.
    if int in real and isinstance(value, int) and not isinstance(value, bool):
        return value
    words = [word for member in real if get_origin(member) is Literal for word in get_args(member)]
    if len(real) > 1 and words and not isinstance(value, list | tuple):
        return _expect(value in words, value, path, f"{' or '.join(words)}, or a list")
    return _convert(real[-1], value, path)


def _float(value: Any, path: str) -> float:
    # YAML 1.1 reads 1e-4 as a string, because it has no dot.
    try:
        return float(
            _expect(isinstance(value, int | float | str) and not isinstance(value, bool), value, path, "a number")
        )
    except ValueError as error:
        raise RecipeError(f"{path} must be a number, got {value!r}") from error


def _expect(condition: bool, value: Any, path: str, expected: str) -> Any:
    if not condition:
        raise RecipeError(f"{path} must be {expected}, got {value!r}")
    return value
