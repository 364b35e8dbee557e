"""Results files: one JSON object a line, written as a whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from shirg_core.files import write_text

Row: TypeAlias = Mapping[str, Any]
"""One result: what was measured, what came out, and where it comes from."""


def with_schema(row: Row) -> dict[str, Any]:
    """A new row with its `schema`, whose fields `docs/json.md` lists; rows without one are of version 1."""
    return {"schema": f"shirg.{row['kind']}/1", **row}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a results file.

    Raises:
        FileNotFoundError: no such file.
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


def rows_there(path: Path) -> list[dict[str, Any]]:
    """As `read_rows`; none where there is no file."""
    return read_rows(path) if path.exists() else []


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Create or replace a results file; missing folders are made.

    Raises:
        OSError: it cannot be written.
        ValueError: a number that is not finite.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Create or replace a JSON file; missing folders are made.

    Raises:
        OSError: it cannot be written.
        ValueError: a number that is not finite.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """The same in JSON's types; a number that JSON cannot hold is null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else str(value)
