"""Results files: one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shirg_bench.ledger.claim import LedgerError


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a results file.

    Raises:
        FileNotFoundError: there is none.
        LedgerError: a line that is not a JSON object, with its number.
    """
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise LedgerError(f"{path.name}, line {number} is not JSON: {error.msg}") from error
        if not isinstance(row, dict):
            raise LedgerError(f"{path.name}, line {number} is not a JSON object: {line[:60]}")
        rows.append(row)
    return rows
