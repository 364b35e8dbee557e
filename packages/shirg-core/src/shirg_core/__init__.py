"""shirg-core: choose visual tokens once, exactly K of them, with every region of the image represented."""

from shirg_core.anyres import anyres_layout
from shirg_core.layout import View, ViewLayout
from shirg_core.presets import ShirgV2, ShirgV3, shirg_v2, shirg_v3
from shirg_core.selection import Selection, Selector

__version__ = "0.1.0"

__all__ = [
    "Selection",
    "Selector",
    "ShirgV2",
    "ShirgV3",
    "View",
    "ViewLayout",
    "__version__",
    "anyres_layout",
    "shirg_v2",
    "shirg_v3",
]
