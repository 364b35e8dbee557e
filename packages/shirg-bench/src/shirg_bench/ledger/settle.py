"""Putting measured numbers into the ledger's rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shirg_bench.ledger.bar import bar_met
from shirg_bench.ledger.claim import NOT_TESTABLE, VERDICTS, Claim, LedgerError, Reference
from shirg_bench.results.rows import Row, read_rows

TOLERANCE = 1e-3
NO_NUMBERS, CONTRADICTED = "no numbers", "contradicted"


@dataclass(frozen=True)
class Settled:
    """A claim with its numbers.

    Attributes:
        claim: the row.
        values: the numbers by name; those that are not there are missing.
        problem: what is not there, in one line; empty when everything is.
    """

    claim: Claim
    values: Mapping[str, float]
    problem: str

    @property
    def bar_met(self) -> bool | None:
        """Whether these numbers meet the claim's bar; None where it has none, or numbers are missing."""
        if self.problem or not self.claim.bar:
            return None
        return bar_met(self.claim.bar, self.values)

    @property
    def verdict(self) -> str:
        """The claim's verdict, as far as these numbers bear it out.

        `NO_NUMBERS` where they are missing, `CONTRADICTED` where they meet the bar of what fails, or miss that of what
        holds; what holds partly has no bar that decides it.
        """
        said = self.claim.verdict
        if self.problem:
            return said if said == NOT_TESTABLE else NO_NUMBERS
        wrong = {"holds": False, "fails": True}
        return CONTRADICTED if said in wrong and self.bar_met is wrong[said] else said

    @property
    def measured(self) -> str:
        """`Claim.measured` with its numbers, or what is missing."""
        if self.problem:
            return f"No numbers: {self.problem}."
        return self.claim.measured.format_map(self.values)


def settle(claims: Sequence[Claim], results: Path) -> list[Settled]:
    """Look up every number the claims refer to."""
    files: dict[str, Sequence[Row]] = {}
    return [_settle(claim, results, files) for claim in claims]


def _settle(claim: Claim, results: Path, files: dict[str, Sequence[Row]]) -> Settled:
    values, problems = {}, []
    for name, reference in claim.numbers.items():
        try:
            if reference.file not in files:
                files[reference.file] = read_rows(results / reference.file)
            values[name] = look_up(reference, files[reference.file])
        except FileNotFoundError:
            problems.append(f"{reference.file} is not there")
        except ValueError as error:
            problems.append(str(error))
    return Settled(claim, values, "; ".join(dict.fromkeys(problems)))


def look_up(reference: Reference, rows: Sequence[Mapping[str, Any]]) -> float:
    """The number a reference means.

    Raises:
        LedgerError: no row or several rows match, or the value is not a number.
    """
    found = [row for row in rows if all(_same(row.get(key), value) for key, value in reference.match.items())]
    wanted = ", ".join(f"{key}={value}" for key, value in reference.match.items())
    if len(found) != 1:
        raise LedgerError(f"{reference.file} has {len(found)} rows with {wanted}")
    value = found[0].get(reference.value)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise LedgerError(f"{reference.file}: {reference.value} of {wanted} is {value!r}, not a number")
    return float(value)


def count_verdicts(settled: Sequence[Settled]) -> dict[str, int]:
    """How many claims have each verdict, in the order of `VERDICTS`; then those that these numbers do not bear out."""
    counts = Counter(each.verdict for each in settled)
    doubtful = [verdict for verdict in (NO_NUMBERS, CONTRADICTED) if counts[verdict]]
    return {verdict: counts[verdict] for verdict in (*VERDICTS, *doubtful)}


def _same(found: Any, wanted: Any) -> bool:
    numbers = isinstance(found, int | float) and isinstance(wanted, int | float)
    if numbers and not isinstance(found, bool):
        return math.isclose(found, wanted, rel_tol=TOLERANCE)
    return bool(found == wanted)
