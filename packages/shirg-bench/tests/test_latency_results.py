import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from shirg_bench.latency.results import check_results, origin, replace_results, rounded
from shirg_bench.results.costs import latency_tables
from shirg_bench.results.provenance import hardware
from shirg_bench.results.rows import read_rows
from shirg_bench.results.table import print_table
from shirg_core.cli.errors import BadInput

SHIPPED = Path(__file__).parents[1] / "results" / "latency_cpu.jsonl"


def line(variant="v3", cache=True, **values):
    told = {"kind": "latency", "model": "a", "variant": variant, "cache": cache, "hardware": "cpu", "command": "one"}
    return {**told, "rounds": 3, "step_ms": 1.0, "peak_bytes": None, **values}


def test_a_line_measured_again_is_replaced_and_others_stay(tmp_path):
    path = tmp_path / "out.jsonl"
    others = [line("pooling"), line(cache=False), line(model="b"), {"kind": "selection", "method": "v3", "tokens": 9}]
    replace_results(path, [line(), *others])
    replace_results(path, [line(step_ms=2.0)])
    assert read_rows(path) == [*others, line(step_ms=2.0)]
    assert [each.name for each in tmp_path.iterdir()] == ["out.jsonl"]


def test_columns_that_were_not_measured_keep_their_values(tmp_path):
    path = tmp_path / "out.jsonl"
    replace_results(path, [line()])
    memory = line(step_ms=None, peak_bytes=7, command="two")
    replace_results(path, [memory])
    assert read_rows(path) == [line(peak_bytes=7, command="one; two")]
    with pytest.raises(BadInput, match=r"step_ms of v3, measured with another hardware \(cpu, now gpu\): write to"):
        replace_results(path, [{**memory, "hardware": "gpu"}])
    replace_results(path, [line(hardware="gpu", peak_bytes=1)])
    assert read_rows(path) == [line(hardware="gpu", peak_bytes=1)]


def test_other_settings_are_other_lines(tmp_path):
    path = tmp_path / "out.jsonl"
    first = line(dtype="float32", answer_tokens=6, nfe=6)
    replace_results(path, [first])
    memory = {"step_ms": None, "peak_bytes": 7, "rounds": 0}
    others = [{**first, **memory, **other} for other in ({"dtype": "bfloat16"}, {"answer_tokens": 60}, {"nfe": 3})]
    for other in others:
        replace_results(path, [other])
    assert read_rows(path) == [first, *others]


def test_a_line_from_before_dtypes_has_that_of_its_command_or_the_models_own(tmp_path):
    path = tmp_path / "out.jsonl"
    asked, mixed = line("full", command="one --dtype bfloat16"), line("v2", command="one --dtype bfloat16; two")
    replace_results(
        path, [line(), line("pooling"), asked, mixed, line(model="b"), {"kind": "selection", "method": "v3"}]
    )
    new = {"step_ms": None, "peak_bytes": 7, "dtype": "float32", "command": "two"}
    replace_results(path, [line(variant, **new) for variant in ("v3", "full", "v2")])
    assert read_rows(path) == [
        line("pooling", dtype="float32"),
        {**asked, "dtype": "bfloat16"},
        mixed,
        line(model="b"),
        {"kind": "selection", "method": "v3"},
        line(peak_bytes=7, dtype="float32", command="one; two"),
        line("full", **new),
        line("v2", **new),
    ]
    # What the model's own dtype is cannot be told from a command that asks for one.
    path.unlink()
    replace_results(path, [line()])
    replace_results(path, [line(**{**new, "command": "two --dtype float32"})])
    assert [row.get("dtype") for row in read_rows(path)] == [None, "float32"]


def test_shipped_lines_are_measured_again_in_their_place(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_bytes(SHIPPED.read_bytes())
    old = read_rows(path)
    replace_results(path, [{**row, "dtype": "bfloat16"} for row in old if row.get("model") == "micro"])
    new = read_rows(path)
    assert len(new) == len(old)
    assert {row["dtype"] for row in new if row.get("model") == "micro"} == {"bfloat16"}
    assert [row for row in new if "dtype" not in row] == [row for row in old if row.get("model") != "micro"]


def test_times_stay_together_with_their_rounds(tmp_path):
    path = tmp_path / "out.jsonl"
    replace_results(path, [line(ratio_to_pooled=1.2)])
    replace_results(path, [line(step_ms=None, ratio_to_pooled=None, peak_bytes=7, rounds=0)])
    assert read_rows(path) == [line(ratio_to_pooled=1.2, peak_bytes=7)]
    replace_results(path, [line(step_ms=9.0, ratio_to_pooled=None, rounds=1)], finished=False)
    assert read_rows(path) == [line(ratio_to_pooled=1.2, peak_bytes=7)]
    replace_results(path, [line(step_ms=2.0, ratio_to_pooled=None)])
    assert read_rows(path) == [line(step_ms=2.0, ratio_to_pooled=None, peak_bytes=7)]


def test_values_of_another_seed_are_not_kept(tmp_path):
    path = tmp_path / "out.jsonl"
    replace_results(path, [line(seed=1)])
    with pytest.raises(BadInput, match=r"step_ms of v3, measured with another seed \(1, now 0\): write to"):
        replace_results(path, [line(step_ms=None, peak_bytes=7, seed=0)])


def test_finished_rounds_stay_until_a_run_is_finished(tmp_path):
    path = tmp_path / "out.jsonl"
    replace_results(path, [line()])
    first = line(step_ms=9.0, rounds=1)
    replace_results(path, [first, line("full", rounds=1)], finished=False)
    assert read_rows(path) == [line(), line("full", rounds=1)]
    replace_results(path, [first])
    assert first in read_rows(path)


def test_a_damaged_file_is_named_and_left_alone(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text('{"kind": "latency"}\nnonsense\n')
    with pytest.raises(BadInput, match=r"out\.jsonl, line 2: "):
        replace_results(path, [{"kind": "latency"}])
    assert path.read_text().endswith("nonsense\n")
    path.write_text("[1]\n")
    with pytest.raises(BadInput, match="expected a JSON object"):
        check_results(path)


def test_a_file_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(BadInput, match="it is a folder"):
        check_results(tmp_path)
    with pytest.raises(BadInput, match="no folder"):
        check_results(tmp_path / "none" / "out.jsonl")


def test_a_line_says_what_produced_it():
    facts = origin("shirg bench", 7, torch.device("cpu"))
    assert (facts["command"], facts["seed"]) == ("shirg bench", 7)
    assert facts["versions"]["torch"] == torch.__version__
    assert {"shirg-bench", "transformers", "python"} <= set(facts["versions"])
    assert facts["hardware"] == f"{hardware(torch.device('cpu'))}, thread time on 1 thread"
    assert facts["hardware"].endswith("cores, thread time on 1 thread")
    assert facts["time"].endswith("+00:00")
    json.dumps(facts)


def test_five_digits_of_every_float():
    assert rounded({"a": 1234.5678, "b": 0.000123456, "c": 123456789, "d": None, "e": True}) == {
        "a": 1234.6,
        "b": 0.00012346,
        "c": 123456789,
        "d": None,
        "e": True,
    }


def test_a_table_leaves_out_what_nobody_measured(capsys):
    names = (
        "visual_tokens",
        "select_ms",
        "tower_ms",
        "prefill_ms",
        "step_ms",
        "end_to_end_ms",
        "peak_bytes",
    )
    row = {**dict.fromkeys(names), "model": "m", "hardware": "h", "variant": "v3-768", "cache": True}
    row |= {"kv_bytes": 2**20, "prefix_tokens": 900}
    (table,) = latency_tables([row, {**row, "cache": False, "kv_bytes": None}])
    print_table(table, Console(), names=2)
    out = capsys.readouterr().out
    assert "tower" not in out
    assert [line.split() for line in out.splitlines()] == [
        ["m,", "on", "h"],
        ["prefix"],
        ["variant", "cache", "tokens", "KV,", "MiB"],
        ["v3-768", "on", "900", "1.00"],
        ["v3-768", "off", "900", "–"],
    ]


def test_a_wide_table_is_printed_in_parts_that_fit(capsys):
    (table, *_) = latency_tables([row for row in read_rows(SHIPPED) if row["kind"] == "latency"])
    print_table(table, Console(width=80), names=2)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    first, *others = (line.split() for line in lines if line.startswith("pooling ") and " on " in line)
    assert others
    cells = [cell for part in (first, *others) for cell in part[2:]]
    assert cells == [cell for cell in table.rows[0][2:] if cell != "–"]
