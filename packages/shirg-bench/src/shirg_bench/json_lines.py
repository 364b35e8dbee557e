"""Results files: one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a results file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a line that is not a JSON object, with its number; the file stays as it is.
    """
    rows = []
    # Not `splitlines`, which also splits at separators that may stand inside a string.
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if not isinstance(row, dict):
            raise ValueError(f"{path}, line {number}: expected a JSON object, got {line[:40]!r}")
        rows.append(row)
    return rows
