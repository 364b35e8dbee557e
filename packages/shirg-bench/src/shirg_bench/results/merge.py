"""Measured again: which rows of a file are replaced, which stay, and what may not stand beside new ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from shirg_bench.results.rows import Row, rows_there, with_schema, write_rows
from shirg_bench.results.words import tier_words

Names: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Rules:
    """Which rows belong together; names are keys of rows.

    Attributes:
        table: rows that agree in these are one table.
        line: rows of a table that agree in these are the same line of it.
        alike: pairs; rows of a file that agree in the first must agree in the second.
        together: groups of columns that one measurement gives. A line that is measured again without a group keeps the
            group's old values, with the keys `follow`; values of two measurements are never mixed.
        follow: what belongs to the first group of `together`, such as the time of measuring.
        origin: what old and new values of one line must share.
    """

    table: Names
    line: Names
    alike: tuple[tuple[Names, Names], ...] = ()
    together: tuple[Names, ...] = ()
    follow: Names = ()
    origin: Names = ()


def merge_rows(path: Path, rows: Sequence[Row], rules: Rules, *, whole: bool = True) -> None:
    """Write `rows` into a file in place of those that they measure again; all other rows stay.

    Args:
        path: a results file, or where one is to be.
        rows: new ones.
        rules: of their kind.
        whole: they are whole tables; False = lines of tables whose other lines stay.

    Raises:
        ValueError: a damaged file, or rows that `rules` keep apart; the file is as it was.
        OSError: it cannot be read or written.
    """
    write_rows(path, merged(path, rows_there(path), [with_schema(row) for row in rows], rules, whole=whole))


def merged(
    path: Path, there: Sequence[Row], rows: Sequence[Row], rules: Rules, *, whole: bool, finished: bool = True
) -> list[Row]:
    """The rows that stay of `there`, then `rows`, each with what its line keeps.

    Arguments are those of `merge_rows`, `there` the file's rows, `path` for messages; `rows` may be what they will
    say before they are measured. With `finished=False` more rounds follow, and until then a line of more `rounds`
    stays.

    Raises:
        ValueError: see `merge_rows`.
    """
    names = rules.table if whole else rules.table + rules.line
    replaced = {_key(row, names) for row in rows}
    fresh: dict[str, Row] = {_key(row, rules.table + rules.line): row for row in rows}
    kept = []
    for old in there:
        line = _key(old, rules.table + rules.line)
        if _key(old, names) not in replaced:
            kept.append(old)
        elif line in fresh:
            more = (old.get("rounds") or 0) > (fresh[line].get("rounds") or 0)
            fresh[line] = old if more and not finished else _completed(path, fresh[line], old, rules)
    for same, facts in rules.alike:
        new = {_key(row, same): row for row in rows}
        for row in kept:
            if differ := _differences(row, new.get(_key(row, same), row), facts):
                table = ", ".join(tier_words(str(row[name])) for name in rules.table[1:] if row.get(name) is not None)
                raise ValueError(
                    f"{path} has other lines of this table ({table}), measured with {differ}: "
                    "measure the whole table, or write to another folder"
                )
    return [*kept, *fresh.values()]


def _completed(path: Path, new: Row, old: Row, rules: Rules) -> Row:
    """`new` with the old values of what was not measured this time."""
    missing = [name for group in rules.together if all(new.get(each) is None for each in group) for name in group]
    kept = {name: old[name] for name in missing if old.get(name) is not None}
    if not kept:
        return new
    if differ := _differences(old, new, rules.origin):
        raise ValueError(
            f"{path} has {', '.join(kept)} of {old.get('variant')}, measured with {differ}: write to another file"
        )
    source = old if any(name in rules.together[0] for name in kept) else new
    follow: dict[str, Any] = {name: source.get(name) for name in rules.follow if name in new or name in source}
    commands = [*old["command"].split("; "), new["command"]]
    return {**new, **kept, **follow, "command": "; ".join(dict.fromkeys(commands))}


def _differences(old: Row, new: Row, facts: Sequence[str]) -> str:
    pairs = ((name, old.get(name), new.get(name)) for name in facts)
    return " and ".join(f"another {name} ({then}, now {now})" for name, then, now in pairs if then != now)


def _key(row: Row, names: Sequence[str]) -> str:
    return json.dumps([row.get(name) for name in names], sort_keys=True)
