"""Two machines, here two launchers that meet on the loopback, train what one process does; one may be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from shirg_train.metrics import read_metrics
from shirg_train.recipe import RecipeError, read_yaml
from shirg_train.trainer.distributed import World
from shirg_train.trainer.output import held
from shirg_train.trainer.task import train_adapter

RECIPE = Path(__file__).parents[3] / "recipes" / "micro_lora.yaml"
SETTINGS = (
    *("steps=24", "batch.size=4", "batch.micro=2", "data.pages.count=64", "data.held_out=4", "optim.warmup_steps=1"),
    *("keep=[{method: v2, budget: 0.1666667, views: single384}]", "validation.every=24", "validation.baseline=null"),
    *("checkpoint.every=2", "log.progress=false"),
)


def machines(*outputs: Path) -> list[subprocess.Popen[str]]:
    """A launcher for each, with one process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = ["--master_addr", "127.0.0.1", "--master_port", str(free.getsockname()[1])]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(len(outputs)), *where]
    command = ["--nproc_per_node", "1", "-m", "shirg_train", str(RECIPE)]
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    return [
        subprocess.Popen(
            [*launcher, "--node_rank", str(rank), *command, "--set", f"output={output}", *settings],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for rank, output in enumerate(outputs)
    ]


def errors_of(process: subprocess.Popen[str]) -> list[str]:
    """What the command itself said on its way to failing, whatever its launcher adds."""
    _, text = process.communicate(timeout=120)
    assert process.returncode != 0, text[-4000:]
    return [line for line in text.splitlines() if line.startswith("shirg: error: ")]


def steps(output: Path) -> list[float]:
    return [line["loss"] for line in read_metrics(output / "metrics.jsonl", "step")]


def test_a_killed_machine_is_one_line_on_the_other_and_the_rerun_resumes(tmp_path):
    output = tmp_path / "shared"
    ours, other = machines(output, output)
    deadline, metrics = time.monotonic() + 120, output / "metrics.jsonl"
    while not metrics.exists() or metrics.read_text().count('"kind": "step"') < 5:
        assert [ours.poll(), other.poll()] == [None, None], "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # Its launcher is stopped first: it must not say good-bye.
    os.kill(other.pid, signal.SIGSTOP)
    children = Path(f"/proc/{other.pid}/task/{other.pid}/children").read_text().split()
    for pid in (*map(int, children), other.pid):
        os.kill(pid, signal.SIGKILL)
    other.communicate()
    (line,) = errors_of(ours)
    assert "another of the 2 processes ended" in line
    assert "rerun the command on all machines to resume" in line
    done = len(steps(output))
    assert 5 <= done < 24

    for again in machines(output, output):
        _, text = again.communicate(timeout=240)
        assert again.returncode == 0, text[-4000:]
    torch.manual_seed(0)
    train_adapter(read_yaml(RECIPE, [*SETTINGS, f"output={tmp_path / 'alone'}"]))
    assert steps(output) == pytest.approx(steps(tmp_path / "alone"), abs=1e-3)
    (start,) = read_metrics(metrics, "start")
    assert start["world_size"] == 2


class HalfBlind(World):
    """Two ranks, of which the other one sees no file of this one."""

    def gather(self, value):
        return [value, False if isinstance(value, bool) else value]


def test_machines_that_share_no_folder_are_refused(tmp_path):
    message = "output: rank 1 does not see the .* of rank 0; choose a folder on a file system that all machines share"
    with pytest.raises(RecipeError, match=message), held(tmp_path / "run", HalfBlind(0, 2, torch.device("cpu"))):
        pytest.fail("the run began")
    with held(tmp_path / "run", World(0, 1, torch.device("cpu"))):
        assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
