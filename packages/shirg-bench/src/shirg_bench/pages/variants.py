"""What is compared: methods of the registry, with options and with other inputs, as a person types them.

    METHOD[:FIELD=VALUE]…[+INPUT]…        v3, v2:coverage_share=0.1, v3+received, edges+canny, v4+cls+canny

`+received` and `+cls` give a selector the tower's attention (see `tower`); without, it gets none, except for a method
that needs it, which gets what was received. `+canny` gives it Canny's edges instead of the Laplacian's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import yaml
from torch import Tensor

from shirg_bench.pages.features import PageFeatures
from shirg_core.budget import Budget
from shirg_core.methods import METHODS, Method, get_method

ATTENTIONS = ("received", "cls")
CANNY = "canny"
WITH_ATTENTION = ("v3+cls", "v4+received", "v4+cls", "top-attention+received", "top-attention+cls")
"""Also measured unasked, where the registry has the method."""


@dataclass(frozen=True)
class Variant:
    """One column of the comparison.

    Attributes:
        name: as typed.
        method: of the registry.
        options: fields of the method.
        attention: what the selector gets of the tower's attention; None = nothing.
        canny: it gets Canny's edges, not the Laplacian's.

    Raises:
        ValueError: a method that cannot be compared here, an unknown field, or a value out of range.
    """

    name: str
    method: Method
    options: Mapping[str, Any] = field(default_factory=dict)
    attention: str | None = None
    canny: bool = False

    def __post_init__(self) -> None:
        if reason := _unfit(self.method):
            raise ValueError(f"method {self.method.name!r} {reason}")
        self.method.build(budget=1, **self.options)

    def choose(self, page: PageFeatures, budget: Budget, seed: int) -> Tensor:
        """`[N]` bool, the tokens that are kept of a page.

        Raises:
            ValueError: what the selector refuses, such as a budget that the layout cannot hold.
        """
        given = self.method.accepted(text_weight=0.0, seed=seed) | dict(self.options)
        selector = self.method.build(budget=budget, **given)
        tokens = page.patches if self.method.on_pixels else page.encoded.features[None]
        attention = None if self.attention is None else getattr(page.encoded, self.attention)[None]
        with torch.inference_mode():
            edges = page.canny_edges if self.canny else page.edges
            chosen = selector(tokens, page.layout, edges=edges, attention=attention, check_finite=True)
        return chosen.mask[0]


def parse_variant(text: str) -> Variant:
    """The variant of what a person typed.

    Raises:
        ValueError: an unknown method, attention or field, or a value out of range.
    """
    before, *inputs = text.split("+")
    name, *pairs = before.split(":")
    attentions = [each for each in inputs if each != CANNY]
    if unknown := [each for each in attentions if each not in ATTENTIONS]:
        known = ", ".join((*ATTENTIONS, CANNY))
        raise ValueError(f"{text!r}: what follows + must be one of {known}, got {unknown[0]!r}")
    if len(attentions) > 1:
        raise ValueError(f"{text!r} must have one attention, got {' and '.join(attentions)}")
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise ValueError(f"{text!r}: an option must be FIELD=VALUE, got {wrong[0]!r}")
    method = get_method(name)
    options = {key: yaml.safe_load(value) for key, _, value in (pair.partition("=") for pair in pairs)}
    needed = ["received"] if method.tower_attention else [None]
    return Variant(text, method, options, (attentions or needed)[0], CANNY in inputs)


def default_variants() -> list[Variant]:
    """Every method that fits, and those of `WITH_ATTENTION`."""
    names = [name for name, method in METHODS.items() if not _unfit(method)]
    return [parse_variant(name) for name in (*names, *(n for n in WITH_ATTENTION if n.partition("+")[0] in METHODS))]


def _unfit(method: Method) -> str:
    """Why a method cannot be compared here; empty if it can."""
    if method.only:
        return f"runs only in {method.only_in}"
    if method.selector is None or not method.takes_budget:
        return "keeps no given number of tokens"
    if method.merges:
        return "averages tokens, and print kept is defined for original tokens only"
    if "text" in method.needs and "text_weight" not in method.fields:
        return "needs text, and real pages come without questions"
    return ""
