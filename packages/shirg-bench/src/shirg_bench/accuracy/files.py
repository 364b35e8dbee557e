"""Results files: one JSON object a line; a table that was measured again replaces its earlier rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shirg_core.files import atomic_path

TABLE = ("kind", "ablation", "regime", "tier")
"""Rows that agree in these are one table, measured together."""


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a results file, none if there is no file.

    Raises:
        ValueError: a line that is no JSON object.
    """
    if not path.is_file():
        return []
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {number}: expected a JSON object, got {line[:40]!r}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{path}, line {number}: expected a JSON object, got {line[:40]!r}")
        rows.append(row)
    return rows


def merge_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write `rows` in place of those of the same tables, keep the other tables, and return all of them."""
    measured = {_table(row) for row in rows}
    merged = [row for row in read_rows(path) if _table(row) not in measured] + [dict(row) for row in rows]
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in merged))
    return merged


def write_text(path: Path, text: str) -> None:
    """Create or replace a text file as a whole.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _table(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in TABLE)
