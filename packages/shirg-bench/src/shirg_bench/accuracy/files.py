"""Results files: one JSON object a line; a table that was measured again replaces its earlier rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shirg_bench.json_lines import read_rows
from shirg_core.files import atomic_path

TABLE = ("kind", "ablation", "regime", "tier")
"""Rows that agree in these are one table, measured together."""


def merge_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write `rows` in place of those of the same tables, keep the other tables, and return all of them.

    Raises:
        ValueError: the file that is there has a line that is no JSON object.
    """
    measured = {_table(row) for row in rows}
    there = read_rows(path) if path.is_file() else []
    merged = [row for row in there if _table(row) not in measured] + [dict(row) for row in rows]
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
