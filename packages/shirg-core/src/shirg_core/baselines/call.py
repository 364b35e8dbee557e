"""What every baseline does first: take the inputs of the `Selector` protocol and refuse bad ones."""

from __future__ import annotations

from typing import TypedDict, Unpack

from torch import Tensor

from shirg_core.inputs import check_inputs
from shirg_core.layout import ViewLayout
from shirg_core.names import check_choice

IMPLEMENTATIONS = ("auto", "reference")


class Given(TypedDict, total=False):
    """What a selector may be given beside features and layout, and whether to look at the values."""

    text: Tensor | None
    text_mask: Tensor | None
    edges: Tensor | None
    attention: Tensor | None
    check_finite: bool


class Inputs(Given, total=False):
    """The keyword inputs of `Selector`, with its meanings, shapes and defaults."""

    impl: str


def check_call(features: Tensor, layout: ViewLayout, *, impl: str = "auto", **given: Unpack[Given]) -> None:
    """Check every given input against the `Selector` contract.

    Raises:
        ValueError: a wrong input, or an implementation that baselines do not have.
    """
    check_choice("impl", impl, IMPLEMENTATIONS)
    check_inputs(features, layout, **given)
