"""Two machines, here two launchers that meet on the loopback, share an evaluation, and one is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from .lmms_setup import evaluation, shirg, small_evaluation, tiny_tasks

QUESTIONS = 24


def machines(arguments):
    """A launcher for each, with one process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = ["--master_addr", "127.0.0.1", "--master_port", str(free.getsockname()[1])]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", *where, "--nproc_per_node", "1"]
    return [
        subprocess.Popen(
            [*launcher, "--node_rank", str(rank), "-m", "shirg_core", *map(str, arguments)],
            env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for rank in range(2)
    ]


def kill(launcher):
    """End a launcher and what it started, as if its machine were gone."""
    # Stopped first: it must not say good-bye.
    os.kill(launcher.pid, signal.SIGSTOP)
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    for pid in (*map(int, children), launcher.pid):
        os.kill(pid, signal.SIGKILL)
    launcher.communicate()


def test_a_killed_machine_is_one_line_on_the_other_and_the_rerun_resumes(folder, tasks, tmp_path, capsys):
    asked = tiny_tasks(tmp_path, QUESTIONS)
    options = ("--include-path", asked, "--limit", QUESTIONS, "--gen-kwargs", "max_new_tokens=64,steps=64")
    arguments = small_evaluation(folder, tasks, tmp_path / "shared", *options)
    ours, other = machines(arguments)
    theirs, deadline = tmp_path / "shared" / "journal" / "answers_1.jsonl", time.monotonic() + 300
    while not theirs.exists() or not theirs.stat().st_size:
        assert [ours.poll(), other.poll()] == [None, None], "the evaluation ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    kill(other)
    _, text = ours.communicate(timeout=300)
    assert ours.returncode != 0
    (line,) = [line for line in text.splitlines() if line.startswith("shirg: error: ")]
    assert "another of the 2 processes ended" in line
    assert "rerun the command on all machines to resume" in line
    assert not (tmp_path / "shared" / "results.json").exists()
    answers = sum(len(path.read_bytes().splitlines()) for path in theirs.parent.iterdir())
    assert QUESTIONS // 2 < answers < QUESTIONS

    assert shirg(*arguments) == 0
    assert f"note  resumed: {answers} answers are in the journal" in capsys.readouterr().out
    assert shirg(*small_evaluation(folder, tasks, tmp_path / "alone", *options)) == 0
    (resumed, samples), (alone, expected) = evaluation(tmp_path / "shared"), evaluation(tmp_path / "alone")
    assert resumed["results"] == alone["results"]
    assert [sample["filtered_resps"] for sample in samples] == [sample["filtered_resps"] for sample in expected]
