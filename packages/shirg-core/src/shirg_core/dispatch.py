"""The one place where `impl=` becomes an implementation."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import Tensor

from shirg_core import reference
from shirg_core.layout import ViewLayout
from shirg_core.names import check_choice
from shirg_core.selection import Selection

if TYPE_CHECKING:
    from shirg_core.presets import ShirgV2, ShirgV3

IMPLEMENTATIONS = ("auto", "reference", "triton")


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


def backend(impl: str, features: Tensor) -> Backend:
    """The backend for a call on `features`.

    `auto` takes the kernels for CUDA tensors where Triton is installed and the call is not being compiled (a compiler
    sees through the reference, and fuses it its own way); the reference elsewhere.

    Raises:
        ValueError: an unknown name.
        ImportError: `triton` was asked for by name and is not installed.
        RuntimeError: `triton` was asked for by name and cannot run on the tensor's device.
    """
    check_choice("impl", impl, IMPLEMENTATIONS)
    if impl == "reference" or (impl == "auto" and not _prefers_kernels(features)):
        return cast("Backend", reference)
    # Here and not above: importing Triton costs time, and not every platform has it.
    from shirg_core import kernels

    kernels.check_device(features)
    return cast("Backend", kernels)


def _prefers_kernels(features: Tensor) -> bool:
    return features.is_cuda and not torch.compiler.is_compiling() and find_spec("triton") is not None
