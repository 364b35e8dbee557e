import json

import pytest

from shirg_bench.tracking import Baselines, regression


def test_a_regression_names_ratio_baseline_and_change():
    message = regression("v3", 1.30, {"v3": 1.0})
    assert message == "v3: ratio 1.300 against baseline 1.000, +30% (tolerance +15%)"


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.15])
def test_within_tolerance_or_better_is_no_regression(ratio):
    assert regression("v3", ratio, {"v3": 1.0}) is None


def test_a_missing_baseline_is_an_error():
    with pytest.raises(KeyError, match="v2 has no baseline"):
        regression("v2", 1.0, {"v3": 1.0})


def test_a_missing_file_says_how_to_record_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="--update-baselines"):
        Baselines(tmp_path / "none.json").read()


def test_writing_keeps_other_baselines(tmp_path):
    baselines = Baselines(tmp_path / "deep" / "cpu.json")
    baselines.write({"b": 2.0, "a": 1.23456})
    baselines.write({"b": 3.0})
    assert baselines.read() == {"a": 1.2346, "b": 3.0}
    assert list(json.loads(baselines.path.read_text())) == ["a", "b"]
    assert [p.name for p in baselines.path.parent.iterdir()] == ["cpu.json"]
