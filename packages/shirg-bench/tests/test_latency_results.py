import json

import pytest
import torch

from shirg_bench.latency.results import hardware, provenance, read_results, replace_results, rounded
from shirg_bench.latency.table import LATENCY, print_table
from shirg_core.cli.errors import BadInput


def test_lines_of_the_same_kind_and_model_are_replaced(tmp_path):
    path = tmp_path / "out.jsonl"
    replace_results(path, [{"kind": "latency", "model": "a", "x": 1}, {"kind": "latency", "model": "b", "x": 1}])
    replace_results(path, [{"kind": "selection", "x": 1}])
    replace_results(path, [{"kind": "latency", "model": "a", "x": 2}])
    replace_results(path, [{"kind": "selection", "x": 2}])
    assert [(row["kind"], row.get("model"), row["x"]) for row in read_results(path)] == [
        ("latency", "b", 1),
        ("latency", "a", 2),
        ("selection", None, 2),
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_damaged_file_is_named_and_left_alone(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text('{"kind": "latency"}\nnonsense\n')
    with pytest.raises(BadInput, match=r"out\.jsonl, line 2: "):
        replace_results(path, [{"kind": "latency"}])
    assert path.read_text().endswith("nonsense\n")
    path.write_text("[1]\n")
    with pytest.raises(BadInput, match="expected a JSON object"):
        read_results(path)


def test_a_file_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(BadInput, match="it is a folder"):
        read_results(tmp_path)
    with pytest.raises(BadInput, match="no folder"):
        read_results(tmp_path / "none" / "out.jsonl")


def test_a_line_says_what_produced_it():
    facts = provenance("shirg bench", 7, torch.device("cpu"))
    assert (facts["command"], facts["seed"]) == ("shirg bench", 7)
    assert facts["versions"]["torch"] == torch.__version__
    assert {"shirg-bench", "transformers", "python"} <= set(facts["versions"])
    assert facts["hardware"] == hardware(torch.device("cpu"))
    assert facts["hardware"].endswith("cores, thread time on 1 thread")
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
    row = {**dict.fromkeys(LATENCY), "variant": "v3-768", "cache": True, "kv_bytes": 2**20, "prefix_tokens": 900}
    print_table("title", LATENCY, [row, {**row, "cache": False, "kv_bytes": None}])
    out = capsys.readouterr().out
    assert "tower ms" not in out
    assert [line.split() for line in out.splitlines()] == [
        ["title"],
        ["variant", "cache", "prefix", "KV", "MiB"],
        ["v3-768", "on", "900", "1.0"],
        ["v3-768", "off", "900", "–"],
    ]
