"""The one place where `impl=` becomes an implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from torch import Tensor

from shirg_core import reference
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection

if TYPE_CHECKING:
    from shirg_core.presets import ShirgV2, ShirgV3

IMPLEMENTATIONS = ("auto", "reference")


class Backend(Protocol):
    """Both presets, computed one way, on inputs that are validated already; shapes as in `Selector`."""

    def select_v2(
        self,
        config: ShirgV2,
        features: Tensor,
        layout: ViewLayout,
        *,
        text: Tensor | None,
        text_mask: Tensor | None,
        edges: Tensor | None,
        attention: Tensor | None,
    ) -> Selection:
        """SHIRG-v2."""
        ...

    def select_v3(
        self, config: ShirgV3, features: Tensor, layout: ViewLayout, *, attention: Tensor | None
    ) -> Selection:
        """SHIRG-v3."""
        ...


def backend(impl: str, features: Tensor) -> Backend:  # noqa: ARG001 (the device decides once there is a choice)
    """The backend for a call on `features`.

    Raises:
        ValueError: an unknown name.
    """
    if impl not in IMPLEMENTATIONS:
        raise ValueError(f"impl must be one of {', '.join(IMPLEMENTATIONS)}, got {impl!r}")
    return cast("Backend", reference)
