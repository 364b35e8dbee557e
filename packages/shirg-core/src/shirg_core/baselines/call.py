"""What every baseline does first: take the inputs of the `Selector` protocol and refuse bad ones."""

from __future__ import annotations

from typing import TypedDict

from torch import Tensor

from shirg_core.inputs import check_inputs
from shirg_core.layout import ViewLayout

IMPLEMENTATIONS = ("auto", "reference")


class Inputs(TypedDict, total=False):
    """The keyword inputs of `Selector`, with its meanings, shapes and defaults."""

    text: Tensor | None
    text_mask: Tensor | None
    edges: Tensor | None
    attention: Tensor | None
    impl: str
    check_finite: bool


def check_call(
    features: Tensor,
    layout: ViewLayout,
    *,
    text: Tensor | None = None,
    text_mask: Tensor | None = None,
    edges: Tensor | None = None,
    attention: Tensor | None = None,
    impl: str = "auto",
    check_finite: bool = False,
) -> None:
    """Check every given input against the `Selector` contract.

    Raises:
        ValueError: a wrong input, or an implementation that baselines do not have.
    """
    if impl not in IMPLEMENTATIONS:
        raise ValueError(f"impl must be one of {', '.join(IMPLEMENTATIONS)} for a baseline, got {impl!r}")
    check_inputs(
        features,
        layout,
        text=text,
        text_mask=text_mask,
        edges=edges,
        attention=attention,
        check_finite=check_finite,
    )
