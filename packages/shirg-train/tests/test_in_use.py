"""Two runs into one output folder: the second is refused, whatever became of earlier ones."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shirg_core.in_use import hold
from shirg_train.recipe import RecipeError
from shirg_train.testbed.micro.loop import train_micro
from shirg_train.trainer.run import run

from .training_setup import ALONE, tiny_recipe, tiny_sources

SETUP = Path(__file__).with_name("training_setup.py")


def start(output):
    changes = repr({"steps": 40, "validation": {"every": 0}})
    command = [sys.executable, str(SETUP), str(output), changes]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True)


def wait_for_steps(output, process):
    deadline, metrics = time.monotonic() + 120, output / "metrics.jsonl"
    while not metrics.exists() or '"kind": "step"' not in metrics.read_text():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def refused(output):
    return pytest.raises(RecipeError, match=rf"output: .*{output.name} is in use by another run")


def test_the_second_of_two_runs_is_refused_and_the_first_ends(tmp_path):
    with start(tmp_path) as first:
        wait_for_steps(tmp_path, first)
        first.send_signal(signal.SIGSTOP)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        with refused(tmp_path):
            run(tiny_recipe(tmp_path), tiny_sources(), ALONE)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        first.send_signal(signal.SIGCONT)
        _, errors = first.communicate(timeout=240)
    assert first.returncode == 0, errors
    assert (tmp_path / "adapter").is_dir()


def test_micro_runs_are_refused_too(tmp_path):
    size = {"tower_width": 24, "tower_layers": 1, "tower_mlp": 32, "width": 24, "layers": 2, "mlp": 32, "heads": 3}
    stage = {"name": "read", "steps": 1, "pages": 2, "answers": False}
    recipe = {"size": size, "data": {"questions": 2}, "stages": [stage]}
    with hold(tmp_path, RecipeError.of_output), refused(tmp_path):
        train_micro(recipe, tmp_path)
    train_micro(recipe, tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecipeError, match=r"output: .*file"), hold(tmp_path / "file" / "run", RecipeError.of_output):
        pass


def test_a_file_system_without_locks_is_told_and_used(tmp_path, monkeypatch, caplog):
    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with hold(tmp_path, RecipeError.of_output):
        pass
    assert "cannot be locked ([Errno 95] Operation not supported): start no second run there" in caplog.text
