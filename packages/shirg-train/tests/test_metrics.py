"""Metrics: every step once, even after a kill."""

import json
import sys

import pytest

from shirg_train.metrics import Metrics, read_metrics
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


def test_lines_are_there_at_once(tmp_path):
    with Metrics(tmp_path, total_steps=1, step=0, active=True, tensorboard=False, progress=False) as metrics:
        metrics.write("event", 1, event="rank_escalation", new_rank=32)
        (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line) == {"kind": "event", "step": 1, "event": "rank_escalation", "new_rank": 32}


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
