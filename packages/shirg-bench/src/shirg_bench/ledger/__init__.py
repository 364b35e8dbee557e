"""The claims ledger: what proposals and papers say, what was run, what came out."""

from shirg_bench.ledger.claim import NOT_TESTABLE, VERDICTS, Claim, LedgerError, Reference
from shirg_bench.ledger.read import read_claims, read_numbers, shipped_claims, shipped_numbers
from shirg_bench.ledger.settle import CONTRADICTED, NO_NUMBERS, Settled, count_verdicts, settle

__all__ = [
    "CONTRADICTED",
    "NOT_TESTABLE",
    "NO_NUMBERS",
    "VERDICTS",
    "Claim",
    "LedgerError",
    "Reference",
    "Settled",
    "count_verdicts",
    "read_claims",
    "read_numbers",
    "settle",
    "shipped_claims",
    "shipped_numbers",
]
