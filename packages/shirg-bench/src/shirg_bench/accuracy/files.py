"""Results files: one JSON object a line; what was measured again replaces its earlier rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shirg_bench.json_lines import read_rows
from shirg_core.files import atomic_path

TABLE = ("kind", "ablation", "regime", "tier")
"""Rows that agree in these are one table."""
LINE = ("group", "stands_in", "method", "options", "variant", "adapter", "budget")
"""Rows of a table that agree in these are the same line of it."""
SHOWN = ("kind", "ablation", "regime")
"""Rows that agree in these are shown together, a column per tier."""
ALIKE = (
    # They answer the same questions with the same weights,
    (TABLE, ("pages", "seed", "checkpoint")),
    # differ from the same reference in every tier,
    ((*SHOWN, "method", "budget"), ("reference",)),
    # and a name means the same adapter.
    ((*SHOWN, "adapter"), ("adapter_weights",)),
)
"""Rows that agree in the first must agree in the second."""


def merge_rows(path: Path, rows: Sequence[Mapping[str, Any]], *, whole: bool = True) -> list[dict[str, Any]]:
    """Write `rows` in place of the same tables, keep the other tables, and return all of them.

    Args:
        path: a results file, or where one is to be.
        rows: new ones.
        whole: they are whole tables; False = lines of tables whose other lines stay.

    Raises:
        ValueError: the file that is there has a line that is no JSON object, or other lines of the same table were
            measured on other questions or weights; the file is as it was.
    """
    merged = kept_rows(path, rows, whole=whole) + [dict(row) for row in rows]
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in merged))
    return merged


def kept_rows(path: Path, rows: Sequence[Mapping[str, Any]], *, whole: bool = True) -> list[dict[str, Any]]:
    """The rows of a file that stay when `rows` come.

    Args:
        path: see `merge_rows`.
        rows: new ones, or what they will say before they are measured: scores do not matter.
        whole: see `merge_rows`.

    Raises:
        ValueError: see `merge_rows`.
    """
    names = TABLE if whole else TABLE + LINE
    there = read_rows(path) if path.is_file() else []
    measured = {_key(row, names) for row in rows}
    kept = [row for row in there if _key(row, names) not in measured]
    for same, facts in ALIKE:
        _check_alike(path, kept, rows, same, facts)
    return kept


def _check_alike(
    path: Path,
    kept: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    same: Sequence[str],
    facts: Sequence[str],
) -> None:
    new = {_key(row, same): row for row in rows}
    for row in kept:
        ours = new.get(_key(row, same), row)
        if differ := [name for name in facts if row.get(name) != ours.get(name)]:
            table = ", ".join(str(row[name]) for name in ("ablation", "regime", "tier") if row.get(name) is not None)
            raise ValueError(
                f"{path} has other lines of this table ({table}), measured with another "
                f"{' and another '.join(f'{name} ({row.get(name)}, now {ours.get(name)})' for name in differ)}: "
                "measure the whole table, or write to another folder"
            )


def write_text(path: Path, text: str) -> None:
    """Create or replace a text file as a whole.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _key(row: Mapping[str, Any], names: Sequence[str]) -> str:
    return json.dumps([row.get(name) for name in names], sort_keys=True)
