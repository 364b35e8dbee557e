"""Models and adapters that installed packages embed.

A package embeds a model by an entry point in the group `shirg.models`, an adapter by one in `shirg.adapters`: its name
is what users say, its value a function without arguments that returns the folder. The model that `DEFAULT` names is
asked when none is named.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

MODELS, ADAPTERS = "shirg.models", "shirg.adapters"
DEFAULT = "micro-joint"
"""Of the two regimes the one that answers better."""


def embedded(name: str, group: str = MODELS) -> Path | None:
    """The folder of what an installed package embeds under `name`; None if there is nothing.

    Raises:
        ImportError, AttributeError, OSError, ValueError: there is something, but it cannot be loaded.
    """
    found = entry_points(group=group, name=name)
    return Path(next(iter(found)).load()()) if found else None


def named(name: str | Path, group: str = MODELS) -> Path | str:
    """A folder, or else what is embedded under this name, or else the name itself, such as a hub id.

    Raises:
        ImportError, AttributeError, OSError, ValueError: something embedded that cannot be loaded.
    """
    return name if Path(name).exists() else embedded(str(name), group) or name
