"""A tiny model, a tiny stream and a tiny recipe for tests of the trainer; also a program for torchrun."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.testing import tiny_lavida
from shirg_train.checkpointing import latest_checkpoint
from shirg_train.metrics import read_metrics
from shirg_train.recipe import build
from shirg_train.trainer import loop
from shirg_train.trainer.config import AdapterRecipe
from shirg_train.trainer.distributed import World, join_world, leave
from shirg_train.trainer.run import Sources, run

ALONE = World(0, 1, torch.device("cpu"))


@dataclass(frozen=True)
class TinySample:
    prompt_ids: torch.Tensor
    question_ids: torch.Tensor
    answer_ids: torch.Tensor
    images: tuple[Image.Image, ...]


def tiny_sample(number: int) -> TinySample:
    """The answer is a function of the image's brightness, so that there is something to learn."""
    level = number % 5
    image = Image.new("L", (70, 70 if number % 2 else 40), 40 * level).convert("RGB")
    answer = torch.tensor([10 + level, 20 + level, *[30] * (number % 3)])
    return TinySample(torch.tensor([1, IMAGE_TOKEN_ID, 2, 3]), torch.tensor([2, 3]), answer, (image,))


class TinyStream:
    """Samples 0, 1, 2, …, every `world.size`-th from this rank's on."""

    def __init__(self, world: World) -> None:
        self._world, self._count = world, 0
        self.skipped = Counter()

    def __iter__(self) -> Iterator[TinySample]:
        while True:
            number = self._count * self._world.size + self._world.rank
            self._count += 1
            yield tiny_sample(number)

    def state_dict(self) -> Mapping[str, Any]:
        return {"count": self._count, "skipped": dict(self.skipped)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._count, self.skipped = state["count"], Counter(state["skipped"])


def tiny_recipe(output: Path, **changes: Any) -> AdapterRecipe:
    """Six steps of four samples; `changes` replace top-level keys."""
    raw = {
        "model": {"path": "tiny", "precision": "fp32"},
        "data": {"path": "unused"},
        "output": str(output),
        "steps": 6,
        "keep": ["pooling", 8, 4],
        "adapter": {"r": 2, "alpha": 4, "dropout": 0.1},
        "optim": {"lr": 0.01, "warmup_steps": 2},
        "batch": {"size": 4, "micro": 2},
        "loss": {"extra_padding": 4},
        "validation": {"every": 3, "times": 2},
        "checkpoint": {"every": 2, "keep": 2},
        "engine": {"recompute": True},
        "log": {"progress": False},
        **changes,
    }
    return build(AdapterRecipe, raw)


def tiny_sources(world: World = ALONE) -> Sources:
    held_out = [tiny_sample(number) for number in range(1000, 1005)]
    return Sources(lambda dtype: tiny_lavida(side=5).to(dtype), TinyStream(world), held_out)


def main() -> None:
    """`training_setup.py OUTPUT CHANGES …`: for each pair a run; CHANGES is a Python literal."""
    import ast

    torch.set_num_threads(1)
    pairs = list(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    with join_world() as world:
        for output, changes in pairs:
            run(tiny_recipe(Path(output), **ast.literal_eval(changes)), tiny_sources(world), world)
    leave(0)


def losses(output: Path) -> list[tuple[int, float, str]]:
    return [(line["step"], line["loss"], line["policy"]) for line in read_metrics(output / "metrics.jsonl", "step")]


def state(output: Path) -> dict[str, torch.Tensor]:
    return load_file(latest_checkpoint(output / "checkpoints") / "state.safetensors")


class InterruptedRunError(Exception):
    """Stands for whatever ends a process."""


def assert_same_run(one, other):
    assert losses(one) == losses(other)
    for kind in ("validation", "event"):
        lines = [read_metrics(output / "metrics.jsonl", kind) for output in (one, other)]
        assert lines[0] == lines[1]
    left, right = state(one), state(other)
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


def run_interrupted(monkeypatch, output, steps, sources=tiny_sources, **changes):
    """End a run with an exception after some steps."""
    real, done = loop._train_step, []

    def interrupted(*arguments):
        if len(done) == steps:
            raise InterruptedRunError
        done.append(None)
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_train_step", interrupted)
        with pytest.raises(InterruptedRunError):
            run(tiny_recipe(output, **changes), sources(), ALONE)


if __name__ == "__main__":
    main()
