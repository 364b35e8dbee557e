"""Rows that are measured again replace their table or their lines; rows that do not fit together are refused."""

import pytest

from shirg_bench.accuracy.rows import RULES
from shirg_bench.results.merge import merge_rows
from shirg_bench.results.rows import read_rows


def test_a_table_measured_again_replaces_its_rows_only(tmp_path):
    def row(ablation, tier, variant):
        return {"kind": "ablation", "regime": "r", "ablation": ablation, "tier": tier, "variant": variant}

    path = tmp_path / "results" / "rows.jsonl"
    merge_rows(path, [row("beta", "easy", "old"), row("alpha", "easy", "kept"), row("beta", "hard", "kept")], RULES)
    merge_rows(path, [row("beta", "easy", "new"), row("beta", "easy", "newer")], RULES)
    assert [r["variant"] for r in read_rows(path)] == ["kept", "kept", "new", "newer"]
    assert list(path.parent.iterdir()) == [path]


def test_some_lines_of_a_table_leave_its_others(tmp_path):
    def row(method, budget=0.5, pages=256, score=0.5):
        told = {"kind": "accuracy", "regime": "r", "tier": "easy", "group": "budget", "seed": 0, "checkpoint": "c"}
        return {**told, "method": method, "budget": budget, "options": {}, "pages": pages, "exact_match": score}

    path = tmp_path / "rows.jsonl"
    merge_rows(path, [row("v2"), row("v2", 0.25), row("v3"), row("random")], RULES)
    merge_rows(path, [row("v2", score=0.9), row("tome")], RULES, whole=False)
    found = [(r["method"], r["budget"], r["exact_match"]) for r in read_rows(path)]
    assert sorted(found) == [
        ("random", 0.5, 0.5),
        ("tome", 0.5, 0.5),
        ("v2", 0.25, 0.5),
        ("v2", 0.5, 0.9),
        ("v3", 0.5, 0.5),
    ]
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"other lines of this table \(r, plain\), measured with another pages"):
        merge_rows(path, [row("v2", pages=8)], RULES, whole=False)
    assert path.read_bytes() == before
    merge_rows(path, [row("v2", pages=8)], RULES)
    assert [(r["method"], r["pages"]) for r in read_rows(path)] == [("v2", 8)]
