"""Data parallelism: `shirg eval` again in several processes, each answering its share."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

import torch

from shirg_core.cli.errors import BadInput, RunFailed

_ERROR = "shirg: error: "


def shared_by() -> int:
    """The processes that share the questions, this one among them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def check_gpus(number: int) -> None:
    """Refuse processes that have no GPU of their own: lmms-eval's models put themselves on it.

    Raises:
        BadInput: there are fewer.
    """
    if (there := torch.cuda.device_count()) < number:
        raise BadInput(f"--processes {number} with a --backend needs as many GPUs, here are {there}")


def run_processes(number: int, arguments: Sequence[str]) -> None:
    """Run `shirg` with `arguments` in `number` processes of this machine, one GPU each where there are any.

    Raises:
        RunFailed: any of them failed; the message is the first one's.
    """
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
    # Accelerate runs several processes on CPUs only if this variable is set.
    device = {} if torch.cuda.is_available() else {"ACCELERATE_USE_CPU": "1"}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        finished = subprocess.run(
            [*launcher, "-m", "shirg_core.cli.app", *arguments],
            env={**os.environ, **device},
            stderr=errors,
            check=False,
        )
        errors.seek(0)
        lines = errors.read().splitlines()
    if finished.returncode:
        said = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
        raise RunFailed(said[0] if said else f"{number} processes ended with exit code {finished.returncode}")
