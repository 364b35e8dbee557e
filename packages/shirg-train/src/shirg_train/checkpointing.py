"""Checkpoints that are there whole or not at all.

    OUTPUT/checkpoints/step-00000500/   state.safetensors   parameters and Adam's moments, full tensors by name
                                        trainer.json        everything else that the next step depends on
                                        adapter/            the adapter in peft's own format

A checkpoint is written into a hidden folder beside, flushed to the disk, and renamed; a process killed at any moment
leaves the previous one as it was. What is left of unfinished ones is removed at the next start.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from shirg_core.files import UNFINISHED, atomic_folder, write_text
from shirg_train.adapter.growth import Moments

STATE_FILE, TRAINER_FILE, ADAPTER_FOLDER = "state.safetensors", "trainer.json", "adapter"
_STEP = re.compile(r"step-(\d{8})")


class CheckpointError(Exception):
    """A checkpoint that cannot be written or read."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: steps done.
        rank: the adapter's.
        alpha: the adapter's.
        world_size: ranks that wrote it.
        baseline_nll: of the baseline policy before training; None where nothing is validated.
        nll: the last validation's, by policy.
        data: per rank, its stream's place.
        recipe: that it follows.
    """

    step: int
    rank: int
    alpha: float
    world_size: int
    baseline_nll: float | None = None
    nll: Mapping[str, float] = field(default_factory=dict)
    data: tuple[Mapping[str, Any], ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A run's state at one step.

    Attributes:
        progress: see there.
        parameters: what is trained, by name.
        moments: Adam's state, by name.
    """

    progress: Progress
    parameters: Mapping[str, Tensor]
    moments: Moments


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int, write_adapter: Callable[[Path], None]) -> Path:
    """Write a checkpoint and remove all but the newest `keep`.

    Raises:
        CheckpointError: it cannot be written, the disk is full, for instance; earlier ones are as they were.
    """
    target = folder / f"step-{checkpoint.progress.step:08d}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(folder)
        with atomic_folder(target, durable=True) as fresh:
            (fresh / ADAPTER_FOLDER).mkdir()
            save_file(_flatten(checkpoint), fresh / STATE_FILE)
            write_text(fresh / TRAINER_FILE, json.dumps(asdict(checkpoint.progress), indent=2) + "\n")
            write_adapter(fresh / ADAPTER_FOLDER)
    except (OSError, SafetensorError) as error:
        last = latest_checkpoint(folder)
        intact = f"the last checkpoint is intact: {last}" if last else "there is no earlier checkpoint"
        raise CheckpointError(f"cannot write {target}: {error}; {intact}") from error
    for old in _complete(folder)[:-keep]:
        shutil.rmtree(old)
    return target


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read one checkpoint, tensors on the CPU.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        raw = json.loads((folder / TRAINER_FILE).read_text(encoding="utf-8"))
        parameters: dict[str, Tensor] = {}
        moments: dict[str, dict[str, Tensor]] = {}
        with safe_open(folder / STATE_FILE, framework="pt") as opened:
            for key in opened.keys():  # noqa: SIM118 (not a mapping)
                kind, _, name = key.partition("/")
                if kind == "parameter":
                    parameters[name] = opened.get_tensor(key)
                else:
                    moments.setdefault(name, {})[kind] = opened.get_tensor(key)
        progress = Progress(**{**raw, "data": tuple(raw["data"])})
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"the checkpoint {folder} is damaged: {error}") from error
    return Checkpoint(progress, parameters, moments)


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint."""
    return next(reversed(_complete(folder)), None)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left."""
    for scratch in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(scratch)


def _complete(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _STEP.fullmatch(path.name))


def _flatten(checkpoint: Checkpoint) -> dict[str, Tensor]:
    flat = {f"parameter/{name}": tensor.contiguous() for name, tensor in checkpoint.parameters.items()}
    for name, state in checkpoint.moments.items():
        flat |= {f"{kind}/{name}": tensor.contiguous() for kind, tensor in state.items()}
    return flat
