"""What an ablation compares: variants with a reference, all on the same questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from shirg_bench.accuracy.variant import Variant
from shirg_lavida.prompt.join import Positions

THIRD, SIXTH = 1 / 3, 1 / 6
BUDGETS = (THIRD, SIXTH, 1 / 12)
"""The proposals keep 0.14–0.44 of the tokens; the last one is tighter, where a part that matters must show."""

NOTES = {"v3-tower": "No embedded model was adapted to the choices of v3-tower"}
"""Method → what a reader of its rows must know."""

Adapters: TypeAlias = Mapping[str, Positions]
"""Names of the adapters at hand → the positions each was trained on."""


class Case(NamedTuple):
    """One row.

    Attributes:
        name: of the variant.
        variant: what is run.
        note: what a reader must know; empty = nothing.
    """

    name: str
    variant: Variant
    note: str = ""


class Comparison(NamedTuple):
    """A reference, and what is compared with it on the same questions."""

    reference: Case
    others: Sequence[Case]
