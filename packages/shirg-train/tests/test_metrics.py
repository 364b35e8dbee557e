"""Metrics: every step once, even after a kill."""

import json
import sys

import pytest

from shirg_train.metrics import SCHEMA, Metrics, read_metrics
from shirg_train.recipe import RecipeError


def write(folder, steps, *, step=0, **options):
    settings = {"total_steps": 9, "step": step, "active": True, "tensorboard": False, "progress": False, **options}
    with Metrics(folder, **settings) as metrics:
        for number in steps:
            metrics.write("step", number, loss=number / 2, tokens_per_s=5.0)


def test_resuming_forgets_what_came_after_the_checkpoint(tmp_path):
    write(tmp_path, [1, 2, 3])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "st')
    write(tmp_path, [3, 4], step=2)
    assert [(m["step"], m["loss"]) for m in read_metrics(tmp_path / "metrics.jsonl", "step")] == [
        (1, 0.5),
        (2, 1.0),
        (3, 1.5),
        (4, 2.0),
    ]


@pytest.mark.parametrize(
    "damage", [b"\n", b"\0" * 20 + b"\n", b"\xff\xfe\n", b"[]\n"], ids=["blank", "zeros", "bytes", "list"]
)
def test_resuming_drops_what_is_no_line_of_a_log(tmp_path, damage):
    write(tmp_path, [1])
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(damage)
    write(tmp_path, [2], step=1)
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl", "step")] == [1, 2]


def test_the_log_of_a_running_or_killed_process_can_be_read(tmp_path):
    write(tmp_path, [1, 2])
    path = tmp_path / "metrics.jsonl"
    for tail in (b'{"kind": "step", "st', b"\0" * 20, b"\n", b'"step'):
        whole = path.read_bytes()
        path.write_bytes(whole + tail)
        assert [line["step"] for line in read_metrics(path, "step")] == [1, 2]
        path.write_bytes(whole)
    path.write_bytes(path.read_bytes() + b'{"kind"\n')
    with pytest.raises(ValueError, match="line 3: expected a line of a training log"):
        read_metrics(path, "step")


def test_lines_are_there_at_once(tmp_path):
    with Metrics(tmp_path, total_steps=1, step=0, active=True, tensorboard=False, progress=False) as metrics:
        metrics.write("event", 1, event="rank_escalation", new_rank=32)
        (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    record = {"schema": SCHEMA, "kind": "event", "step": 1, "event": "rank_escalation", "new_rank": 32}
    assert json.loads(line) == record


def test_other_ranks_write_nothing(tmp_path):
    write(tmp_path, [1], active=False)
    assert list(tmp_path.iterdir()) == []


def test_the_bar_shows_nll_and_speed(tmp_path, capsys):
    write(tmp_path, [1, 2], progress=True)
    shown = capsys.readouterr().err
    assert "NLL 1.0000" in shown
    assert "5 tokens/s" in shown


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_is_optional(tmp_path):
    write(tmp_path, [1], tensorboard=True)
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


def test_a_missing_tensorboard_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(RecipeError, match="tensorboard"):
        write(tmp_path, [1], tensorboard=True)
