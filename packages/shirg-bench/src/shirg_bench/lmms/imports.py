"""Imports that lmms-eval makes without needing them here: together a third of the time until the first question."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, cast


class _Deferred(ModuleType):
    """A package of which nothing has been read yet. Its `__spec__` and the like are there for those who only look."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def defer(package: str) -> None:
    """Let `import package` wait until one of its names is read; what is imported or missing already stays so."""
    if package in sys.modules or (spec := find_spec(package)) is None:
        return
    waiting = _Deferred(package)
    waiting.__spec__, waiting.__path__ = spec, list(spec.submodule_search_locations or ())
    sys.modules[package] = waiting


@contextmanager
def refused(*modules: str) -> Iterator[None]:
    """Let the import of modules that are not there yet fail at once."""
    new = [module for module in modules if module not in sys.modules]
    sys.modules.update(dict.fromkeys(new, cast("ModuleType", None)))
    try:
        yield
    finally:
        for module in new:
            sys.modules.pop(module, None)
