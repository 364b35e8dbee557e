"""Models that installed packages embed.

A package embeds a model by an entry point in the group `shirg.models`: its name is what the model is called, its value
a function without arguments that returns the checkpoint's folder. The one named `micro` is asked when none is named.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

ENTRY_POINT_GROUP = "shirg.models"
DEFAULT = "micro"


def embedded_names() -> list[str]:
    """What `embedded_model` knows."""
    return sorted(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP))


def embedded_model(name: str) -> Path | None:
    """The folder of a model that an installed package embeds under `name`; None if there is none.

    Raises:
        ImportError, AttributeError, OSError, ValueError: there is one, and it cannot be had.
    """
    found = entry_points(group=ENTRY_POINT_GROUP, name=name)
    return Path(next(iter(found)).load()()) if found else None


def named_model(model: str) -> Path | str:
    """A folder, or else an embedded model's, or else the name itself: a hub id.

    Raises:
        ImportError, AttributeError, OSError, ValueError: an embedded model that cannot be had.
    """
    return model if Path(model).exists() else embedded_model(model) or model
