"""A tiny untrained micro model on disk, and a few pages, for tests of the accuracy code."""

from __future__ import annotations

from pathlib import Path

import torch

from shirg_bench.accuracy.measure import Bench, open_bench
from shirg_train.testbed.micro.build import build_model
from shirg_train.testbed.micro.config import DataConfig, SizeConfig
from shirg_train.testbed.micro.run import export
from shirg_train.testbed.pages.tokenizer import build_tokenizer

SIZE = SizeConfig(tower_width=24, tower_layers=1, tower_mlp=32, width=24, layers=2, mlp=32, heads=3)
DATA = DataConfig(questions=2)


def write_micro(folder: Path, seed: int = 0, size: SizeConfig = SIZE) -> Path:
    """Untrained, but its answers depend on what it sees: it attends more strongly than fresh weights do."""
    model = build_model(size, build_tokenizer(), seed)
    with torch.no_grad():
        for block in model.backbone.blocks:
            block.attn_out.weight.mul_(20)
    export(model, folder)
    return folder


def tiny_bench(folder: Path, store: Path, **options: object) -> Bench:
    return open_bench(folder, store, data=DATA, **options)  # type: ignore[arg-type]
