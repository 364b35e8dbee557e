"""What the presets share: the call, its checks, and the one place where `impl=` becomes an implementation."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TypeAlias, get_args

import torch
from torch import Tensor

from shirg_core.budget import Budget, check_budget
from shirg_core.checks import check_choice, keep, real
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection, reference
from shirg_core.selection.inputs import check_inputs
from shirg_core.selection.recipe import Coverage, Given, Recipe, Summary

IMPLEMENTATIONS = ("auto", "reference", "triton")
WITHOUT_KERNELS: tuple[Coverage, ...] = ("quadtree",)
"""Coverage that only the reference computes, on a GPU, too."""
MOST = 2.0**20
"""The largest weight."""

Backend: TypeAlias = Callable[[Recipe, Tensor, ViewLayout, Given], Selection]


class Preset:
    """A published combination of scores, coverage and summary: a frozen dataclass with these fields, and a recipe."""

    budget: Budget
    coverage: Coverage
    coverage_share: float
    summary: Summary

    def __post_init__(self) -> None:
        check_budget(self.budget)
        check_choice("coverage", self.coverage, get_args(Coverage))
        keep(self, real, "coverage_share", low=0, high=1)
        check_choice("summary", self.summary, get_args(Summary))

    @property
    def method(self) -> str:
        """The registry's name."""
        raise NotImplementedError

    @property
    def recipe(self) -> Recipe:
        """What is computed."""
        raise NotImplementedError

    def check_given(self, given: Given) -> None:
        """Refuse a call without an input that this preset cannot do without.

        Raises:
            ValueError: names the input, and what does without it.
        """

    def __call__(
        self,
        features: Tensor,
        layout: ViewLayout,
        *,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        edges: Tensor | None = None,
        attention: Tensor | None = None,
        impl: str = "auto",
        check_finite: bool = False,
    ) -> Selection:
        """Choose tokens; shapes and errors as in `Selector`. Inputs that the preset has no use for are checked, too."""
        given = Given(text, text_mask, edges, attention)
        check_inputs(
            features, layout, **given._asdict(), impl=impl, check_finite=check_finite, implementations=IMPLEMENTATIONS
        )
        self.check_given(given)
        chosen = backend(impl, features, self.coverage)(self.recipe, features, layout, given)
        parts = chosen.indices, chosen.scores, chosen.regions, chosen.kept, chosen.summary
        return Selection(*parts, layout, self.method)


def backend(impl: str, features: Tensor, coverage: Coverage = "none") -> Backend:
    """The backend for a call on `features`; `impl` is one of `IMPLEMENTATIONS`.

    `auto` takes the kernels for CUDA tensors where Triton is installed, the call is not being compiled (a compiler
    sees through the reference, and fuses it its own way), and the coverage has kernels; the reference elsewhere.

    Raises:
        ImportError: `triton` was asked for by name and is not installed.
        RuntimeError: `triton` was asked for by name and cannot run on the tensor's device.
        ValueError: `triton` was asked for by name, and the coverage has no kernels.
    """
    if impl == "triton" and coverage in WITHOUT_KERNELS:
        raise ValueError(f"coverage={coverage!r} has no kernels: use impl='reference' or 'auto', got 'triton'")
    if impl == "reference" or (impl == "auto" and not _prefers_kernels(features, coverage)):
        return reference.select
    # Here and not above: importing Triton costs time, and not every platform has it.
    from shirg_core.selection import triton

    triton.check_device(features)
    return triton.select


def _prefers_kernels(features: Tensor, coverage: Coverage) -> bool:
    if coverage in WITHOUT_KERNELS:
        return False
    return features.is_cuda and not torch.compiler.is_compiling() and find_spec("triton") is not None
