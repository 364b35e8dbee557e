"""shirg-core: choose visual tokens once, exactly K of them, with every region of the image represented."""

from __future__ import annotations

from importlib import import_module

# Not from `typing`, whose import takes as long as all else that `shirg` does before it listens to Ctrl-C.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from shirg_core.anyres import anyres_layout
    from shirg_core.layout import ViewLayout
    from shirg_core.methods import get_selector
    from shirg_core.selection import Selection, Selector
    from shirg_core.selection.v2 import ShirgV2, shirg_v2
    from shirg_core.selection.v3 import ShirgV3, shirg_v3
    from shirg_core.selection.v4 import ShirgV4, shirg_v4
    from shirg_core.view import View

    __version__: str

__all__ = [
    "Selection",
    "Selector",
    "ShirgV2",
    "ShirgV3",
    "ShirgV4",
    "View",
    "ViewLayout",
    "__version__",
    "anyres_layout",
    "get_selector",
    "shirg_v2",
    "shirg_v3",
    "shirg_v4",
]

_HOMES = {
    "Selection": "selection",
    "Selector": "selection",
    "ShirgV2": "selection.v2",
    "ShirgV3": "selection.v3",
    "ShirgV4": "selection.v4",
    "View": "view",
    "ViewLayout": "layout",
    "anyres_layout": "anyres",
    "get_selector": "methods",
    "shirg_v2": "selection.v2",
    "shirg_v3": "selection.v3",
    "shirg_v4": "selection.v4",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `shirg --help` does not wait for torch."""
    if name == "__version__":
        value = import_module("importlib.metadata").version("shirg-core")
    elif name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, for completion in a notebook."""
    return sorted(__all__)
