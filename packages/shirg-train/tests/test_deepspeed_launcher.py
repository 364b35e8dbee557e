"""`deepspeed … --module shirg_train RECIPE`, the command of the README, on two CPU ranks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from shirg_train.metrics import read_metrics

RECIPE = Path(__file__).parents[3] / "recipes" / "micro_lora.yaml"
CHANGES = {
    "steps": 2,
    "engine.zero_stage": 2,
    "batch.size": 4,
    "batch.micro": 2,
    "data.pages.count": 16,
    "data.held_out": 4,
    "validation.every": 2,
    "optim.warmup_steps": 1,
}


def test_the_deepspeed_command_trains_the_shipped_recipe(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launcher = [sys.executable, "-m", "deepspeed.launcher.runner", "--num_accelerators", "2", "--master_port", port]
    settings = [part for key, value in CHANGES.items() for part in ("--set", f"{key}={value}")]
    finished = subprocess.run(
        [*launcher, "--module", "shirg_train", str(RECIPE), "--set", f"output={tmp_path / 'run'}", *settings],
        env={**os.environ, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    (start,) = read_metrics(tmp_path / "run" / "metrics.jsonl", "start")
    assert start["world_size"] == 2
    assert [line["step"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl", "step")] == [1, 2]
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").is_file()
