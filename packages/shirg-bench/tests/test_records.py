"""Records name their machine and never overwrite each other."""

import json

from shirg_bench import records


def test_records_are_appended_one_object_a_line(tmp_path):
    path = tmp_path / "results" / "kernels.jsonl"
    records.append(path, [{"benchmark": "a", "replay_us": 1.5}])
    records.append(path, [{"benchmark": "b"}, {"benchmark": "c"}])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["benchmark"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["replay_us"] == 1.5
    for row in rows:
        assert row["torch"]
        assert row["time"].endswith("+00:00")
        assert "gpu" in row


def test_a_torn_line_spoils_no_record_after_it(tmp_path):
    path = tmp_path / "kernels.jsonl"
    path.write_text('{"benchmark": "whole"}\n{"benchm')
    records.append(path, [{"benchmark": "next"}])
    whole, torn, after = path.read_text().splitlines()
    assert json.loads(whole)["benchmark"] == "whole"
    assert torn == '{"benchm'
    assert json.loads(after)["benchmark"] == "next"
