"""What the loop works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shirg_lavida.config import LavidaConfig
from shirg_train.data.samples import TrainingSample
from shirg_train.data.stream import SampleStream
from shirg_train.metrics import Metrics
from shirg_train.trainer.config import AdapterRecipe
from shirg_train.trainer.distributed import World
from shirg_train.trainer.engine import Engine

ADVICE = (
    "In a new run lower the budget in keep, set cap_budget: true there, or lower data.max_tokens; its init takes over "
    "what was learnt"
)


@dataclass(frozen=True)
class Loop:
    """Everything a loop works with.

    Attributes:
        recipe: as read.
        total_steps: S.
        world: the ranks.
        engine: gradients and steps.
        stream: this rank's training samples.
        held_out: all validation samples, the same on every rank.
        lavida: the model's configuration.
        metrics: where numbers go.
        patience: samples in a row that may not fit.
        write_adapter: `(folder, full parameters, card)`, writes the adapter.
    """

    recipe: AdapterRecipe
    total_steps: int
    world: World
    engine: Engine
    stream: SampleStream
    held_out: Sequence[TrainingSample]
    lavida: LavidaConfig
    metrics: Metrics
    patience: int
    write_adapter: Callable[[Path, dict[str, torch.Tensor], dict[str, Any]], None]
