"""`shirg ablate --what learned`: training runs beside each other, each asked as it was trained."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from shirg_bench.results.rows import read_rows
from shirg_bench.results.scores import score_tables
from shirg_core.cli.app import main
from shirg_train.testbed.micro.loop import train_micro
from shirg_train.testbed.micro.state import STATE_FILE

from .accuracy_setup import SIZE, write_micro


@pytest.fixture(scope="module")
def micro(tmp_path_factory):
    return write_micro(tmp_path_factory.mktemp("learned") / "micro")


def train(micro, folder, policies=(), **options):
    stage = {
        "name": "adapt",
        "steps": 2,
        "pages": 2,
        "layout": "joined",
        "train_tower": False,
        **options.pop("stage", {}),
    }
    if policies:
        stage["policies"] = list(policies)
    size = {
        name: getattr(SIZE, name) for name in ("tower_width", "tower_layers", "tower_mlp", "width", "layers", "mlp")
    }
    train_micro({"size": size, "init": str(micro), "log_every": 1, "stages": [stage], **options}, folder)
    return folder


def learned(micro, output, *runs):
    given = [part for name, folder in runs for part in ("--run", f"{name}={folder}")]
    options = ("--what", "learned", "--pages", 2, "--tiers", "cluttered", "--regime", "2 steps", "--output", output)
    return main([str(part) for part in ("ablate", "--model", micro, *options, *given)])


def test_runs_are_asked_as_they_were_trained(micro, tmp_path, capsys):
    v2 = train(micro, tmp_path / "v2", [{"method": "v2", "budget": 0.25}, {"method": "v2", "budget": 29}])
    packer = train(micro, tmp_path / "packer", compressor="sms")
    scorer = train(micro, tmp_path / "scorer", compressor={"method": "vision-selector", "budgets": [29]})
    docvlm = train(micro, tmp_path / "docvlm", compressor="docvlm")
    names = {"v2": v2, "SMS": packer, "VisionSelector": scorer, "DocVLM": docvlm}
    assert learned(micro, tmp_path / "out", *names.items()) == 0
    rows = read_rows(tmp_path / "out" / "ablations.jsonl")
    found = {(row["variant"], row["budget"]): row for row in rows}
    assert found["all tokens, untrained", None]["trained_parameters"] == 0
    untrained = [found[f"{name}, untrained", 0.25]["kept_tokens"] for name in ("tome", "divprune", "cdpruner", "v4")]
    assert untrained == [49] * 4
    assert found["v2, trained", 0.25]["kept_tokens"] == found["SMS, trained", None]["kept_tokens"] == 49
    assert found["VisionSelector, trained", 29]["kept_tokens"] == found["v2, trained", 29]["kept_tokens"] == 29
    # Pooled tokens, a newline after each of their rows, and the queries.
    assert found["DocVLM, trained", None]["visual_tokens"] == 49 + 7 + 16
    assert found["SMS, trained", None]["method"] == "sms"
    assert found["SMS, trained", None]["value_recall"] is None
    assert 0 <= found["VisionSelector, trained", 29]["value_recall"] <= 1
    base, width = found["v2, trained", 29]["trained_parameters"], SIZE.width
    assert found["VisionSelector, trained", 29]["trained_parameters"] == base + 2 * width**2
    assert base > 10_000
    trained = [row for row in rows if row["adapter"] is not None]
    assert all(row["training_cpu_s"] >= 0 and row["prefill_ms"] > 0 and row["step_ms"] > 0 for row in trained)
    assert len({row["adapter_weights"] for row in trained}) == 4
    (table, *_) = score_tables("ablation", rows)
    assert table.header[-4:] == ["parameters trained", "training, CPU s", "prefill, ms", "step, ms"]
    assert len(table.rows) == len(found)
    assert "learned, 2 steps" in capsys.readouterr().out


def test_runs_that_cannot_be_asked_are_one_line(micro, tmp_path, capsys):
    whole = train(micro, tmp_path / "whole", ["pooling"])
    (tmp_path / "empty").mkdir()
    deeper = write_micro(tmp_path / "deeper", size=replace(SIZE, layers=SIZE.layers + 1))
    assert learned(deeper, tmp_path / "out", ("a", whole)) == 2
    error = capsys.readouterr().err
    assert "did not begin with this model: only one of them has backbone.blocks.2." in error
    assert error.count("\n") == 1
    for runs, expected in (
        ([("a", tmp_path / "empty")], f"it has no {STATE_FILE}"),
        ([("a", tmp_path / "nowhere")], "nowhere"),
        ([("a", whole), ("a", whole)], "--run names must be unique"),
    ):
        assert learned(micro, tmp_path / "out", *runs) == 2
        error = capsys.readouterr().err
        assert expected in error
        assert error.count("\n") == 1
    assert learned(micro, tmp_path / "out") == 0
    assert "learned: no rows, because no --run was given" in capsys.readouterr().out


def test_asking_a_compressors_checkpoint_says_what_runs_it(micro, tmp_path, capsys):
    folder = train(micro, tmp_path / "sms", compressor="sms") / "checkpoint"
    Image.new("L", (112, 112), 255).save(tmp_path / "page.png")
    assert main(["ask", str(tmp_path / "page.png"), "What?", "--model", str(folder)]) == 2
    assert "'sms' runs only in `shirg ablate --what learned`" in capsys.readouterr().err
