"""What is left of one page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from torch import Tensor

NAN = float("nan")
Cell: TypeAlias = tuple[str, float | None]
"""Of the tables: the name of a variant or `measure.KNOWN` and the budget, or one of `measure.SHOWN` and None."""


class Kept(NamedTuple):
    """What is left of one page; NaN = not measured, or unknown.

    Attributes:
        tokens: K.
        print: share of min(K, tokens with print) that was kept.
        value: share of the tokens that show the asked value that was kept.
        words: share of the page's words that the reader still reads.
        lines: share of its lines.
    """

    tokens: float = NAN
    print: float = NAN
    value: float = NAN
    words: float = NAN
    lines: float = NAN


@dataclass(frozen=True)
class PageResult:
    """One page.

    Attributes:
        key: of the page.
        with_print: share of its selectable tokens that hold print.
        unreadable: see `PrintedPage`.
        outside: see `PrintedPage`.
        kept: what is left of it, by cell.
        masks: which tokens a variant kept at a budget, `[N]` bool, by cell.
    """

    key: str
    with_print: float
    unreadable: int
    outside: int
    kept: Mapping[Cell, Kept] = field(default_factory=dict)
    masks: Mapping[Cell, Tensor] = field(default_factory=dict)
