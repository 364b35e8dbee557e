"""Which methods the budget table has. Cheap to import."""

from __future__ import annotations

from shirg_core.methods import METHODS, lookup


def exact_methods() -> list[str]:
    """Methods that keep the K they are told."""
    return [name for name, method in METHODS.items() if method.takes_budget and not method.only]


def table_method(name: str) -> str:
    """A method of the table by its name or alias.

    Raises:
        ValueError: an unknown name, or a method that the table does not have.
    """
    method = lookup(name)
    known = ("full", "downsampled", "pooling", "scissor", *exact_methods())
    if method.name not in known:
        why = "full is the same here: pages have one view" if method.keeps == "all" else f"see {method.only_in}"
        raise ValueError(f"the budget table has no {method.name}: {why}")
    return method.name
