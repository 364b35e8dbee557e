"""Training state in one file that is always whole: written beside, flushed, then moved over the old one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

STATE_FILE = "state.pt"


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        stage: index of the current stage.
        step: steps done in it.
        total: steps done over all stages.
    """

    stage: int = 0
    step: int = 0
    total: int = 0


def save_state(
    folder: Path, progress: Progress, model: nn.Module, aids: nn.Module, optimizers: tuple[torch.optim.Optimizer, ...]
) -> None:
    """Write the state.

    Raises:
        OSError: it cannot be written; the previous state is intact.
    """
    state = {
        "progress": vars(progress),
        "model": model.state_dict(),
        "aids": aids.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    fresh = folder / f"{STATE_FILE}.new"
    with fresh.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / STATE_FILE)


def load_state(folder: Path, model: nn.Module, aids: nn.Module) -> tuple[Progress, list[dict[str, Any]]]:
    """Fill model and aids; returns the progress and the optimisers' states. Without a file: a fresh start."""
    path = folder / STATE_FILE
    if not path.exists():
        return Progress(), []
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    aids.load_state_dict(state["aids"])
    return Progress(**state["progress"]), state["optimizers"]
