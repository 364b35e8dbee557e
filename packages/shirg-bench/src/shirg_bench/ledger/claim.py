"""One claim, and what became of it."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shirg_bench.ledger.bar import BarError, bar_names

NOT_TESTABLE = "not testable here"
VERDICTS = ("holds", "partly", "fails", NOT_TESTABLE)


class LedgerError(ValueError):
    """A ledger, or a result it refers to, that cannot be used; the message names the claim or the row."""


@dataclass(frozen=True)
class Reference:
    """A number that stands in a results file.

    Attributes:
        file: name of a JSON-lines file in the results folder.
        match: keys and values of the one row that is meant; numbers match to a thousandth.
        value: the key whose value is the number.
    """

    file: str
    match: Mapping[str, Any]
    value: str


@dataclass(frozen=True)
class Claim:
    """A row of the ledger.

    Args:
        id: unique, kebab-case.
        claim: in our words.
        source: which document, and where in it.
        verdict: one of `VERDICTS`.
        measured: what came out; `{name}` stands for the number of that name, with a format if wanted: `{full:.2f}`.
        command: what decides it, run in a checkout.
        note: what the verdict rests on, or why it cannot be had here.
        bar: when the claim holds, see `shirg_bench.ledger.bar`: `v2_easy >= 0.97 * full_easy`.
        numbers: those that `measured` and `bar` name.

    Raises:
        LedgerError: an empty text, an unknown verdict, or a name that no number has.
    """

    id: str
    claim: str
    source: str
    verdict: str
    measured: str
    command: str
    note: str = ""
    bar: str = ""
    numbers: Mapping[str, Reference] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("id", "claim", "source", "verdict", "measured", "command"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise LedgerError(f"claim {self.id!r}: {name} must be a text that is not empty, got {value!r}")
        if self.verdict not in VERDICTS:
            raise LedgerError(f"claim {self.id!r}: verdict must be one of {', '.join(VERDICTS)}, got {self.verdict!r}")
        unknown = names_in(self.measured, self.bar) - set(self.numbers)
        if unknown:
            raise LedgerError(f"claim {self.id!r} shows numbers that are not defined: {', '.join(sorted(unknown))}")


def names_in(measured: str, bar: str) -> set[str]:
    """Names of numbers that a claim's `measured` and `bar` use.

    Raises:
        LedgerError: `bar` is not a bar, see `shirg_bench.ledger.bar`, or `measured` has a brace too many.
    """
    try:
        shown = {name for _, name, _, _ in string.Formatter().parse(measured) if name is not None}
        return shown | (bar_names(bar) if bar else set())
    except BarError as error:
        raise LedgerError(f"bar {bar!r}: {error}") from error
    except ValueError as error:
        raise LedgerError(f"not a text with numbers: {measured!r}: {error}") from error
