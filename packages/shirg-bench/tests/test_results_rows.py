"""Results files are read line by line, written whole, and damage is named."""

import json
import re

import pytest
from rich.console import Console

from shirg_bench.results.rows import plain, read_rows, rows_there, write_json, write_rows
from shirg_bench.results.table import Table, print_table
from shirg_core.versions import versions


def test_rows_come_back_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new" / "rows.jsonl"
    rows = [{"regime": "one\u2028two\u0085three", "score": 1 / 3}, {"options": {"α": None}}]
    assert rows_there(path) == []
    write_rows(path, rows)
    assert read_rows(path) == rows_there(path) == rows
    assert path.read_text(encoding="utf-8").count("\n") == 2
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("line", ["{", "[]", "", '{"torn'])
def test_damaged_rows_are_named(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"a": 1}) + f"\n{line}\n")
    with pytest.raises(ValueError, match=re.escape(f"line 2: expected a JSON object, got {line!r}")):
        read_rows(path)


@pytest.mark.parametrize("write", [lambda path, value: write_rows(path, [value]), write_json], ids=["rows", "json"])
def test_a_file_stays_when_the_new_one_cannot_be_written(tmp_path, write):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(path, {"score": float("nan")})
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("file", "old")]


def test_what_json_cannot_hold_is_null():
    assert plain({1: float("inf"), "a": (1, {2.5})}) == {"1": None, "a": [1, [2.5]]}


def test_versions_name_every_package():
    found = versions()
    assert {"python", "torch", "cuda", "triton", "transformers", "shirg-core", "shirg-bench"} <= set(found)
    assert json.loads(json.dumps(found)) == found


def test_no_column_is_lost_beside_long_words(capsys):
    print_table(Table("", ("task", "metrics", "data"), [("a", ", ".join(["metric"] * 40), "hub")]), Console(), names=3)
    out = capsys.readouterr().out
    assert out.count("metric") == 40 + 1
    assert out.splitlines()[1].split()[-1] == "hub"
