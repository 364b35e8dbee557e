"""The ledger's section: counts of verdicts, then every claim."""

from __future__ import annotations

from collections.abc import Sequence

from shirg_bench.ledger import (
    CONTRADICTED,
    NO_NUMBERS,
    NOT_TESTABLE,
    Settled,
    count_verdicts,
)
from shirg_bench.report.page import Section
from shirg_bench.results.table import Table

MARKS = {
    "holds": "✓ holds",
    "partly": "◐ partly",
    "fails": "✗ fails",
    NOT_TESTABLE: "? not testable here",
    NO_NUMBERS: "– no numbers",
    CONTRADICTED: "! these numbers say otherwise",
}


def counts_of(settled: Sequence[Settled]) -> str:
    """How many claims got each verdict."""
    return ", ".join(f"{count} {MARKS[verdict]}" for verdict, count in count_verdicts(settled).items())


def ledger_section(settled: Sequence[Settled]) -> Section:
    """Every claim with its verdict."""
    text = [
        f"{len(settled)} claims: {counts_of(settled)}.",
        "Claims are the proposals' and papers', in our words; negative results stay. A command runs in a checkout; "
        "names in capitals stand for files of your own.",
    ]
    open_ones = sum(bool(each.problem) for each in settled)
    missing = [f"{open_ones} claims wait for numbers that are not in the results folder."] if open_ones else []
    tables: list[Table] = [_table(title, group) for title, group in _by_origin(settled).items()]
    return Section("Claims ledger", text, missing, (), tables)


def _by_origin(settled: Sequence[Settled]) -> dict[str, list[Settled]]:
    proposals = [each for each in settled if each.claim.source.startswith(("v2", "v3"))]
    return {
        "The proposals": proposals,
        "Papers, and this project's own goals": [each for each in settled if each not in proposals],
    }


def _table(caption: str, settled: Sequence[Settled]) -> Table:
    """One line per claim: verdict, claim and source, what came out, what decides it."""
    rows = [
        (
            MARKS[each.verdict],
            f"{each.claim.claim} ({each.claim.source})",
            " ".join(part for part in (each.measured, each.claim.note) if part),
            f"`{each.claim.command}`",
        )
        for each in settled
    ]
    return Table(caption, ("verdict", "claim", "what came out", "decided by"), rows)
