"""Two CPU ranks, with and without DeepSpeed, learn what one does at the same global batch, and share a folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from shirg_core.in_use import hold
from shirg_train.metrics import read_metrics
from shirg_train.recipe import RecipeError
from shirg_train.trainer.run import run

from .training_setup import ALONE, tiny_recipe, tiny_sources

SETUP = Path(__file__).with_name("training_setup.py")
COMMON = {
    "adapter": {"r": 2, "alpha": 4, "dropout": 0.3, "language_blocks": "all"},
    "escalation": {"ranks": [4], "after": [0.3], "margin": -10.0},
    "steps": 5,
}
"""Growth rebuilds the engine from a checkpoint, so these runs also load what they saved."""
ENGINES = {"torch": {}, "zero-0": {"zero_stage": 0}, "zero-2": {"zero_stage": 2}, "zero-3": {"zero_stage": 3}}


def numbers(output):
    steps = read_metrics(output / "metrics.jsonl", "step")
    nll = [value for line in read_metrics(output / "metrics.jsonl", "validation")[1:] for value in line["nll"].values()]
    return [line["loss"] for line in steps], [line["grad_norm"] for line in steps], nll


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    output = tmp_path_factory.mktemp("alone")
    run(tiny_recipe(output, **COMMON), tiny_sources(), ALONE)
    return numbers(output)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    """One launch for all engines, because starting processes takes longer than training; its last run is refused."""
    root = tmp_path_factory.mktemp("two")
    outputs = {name: root / name for name in (*ENGINES, "taken")}
    pairs = [
        part
        for name, output in outputs.items()
        for part in (str(output), repr({**COMMON, "engine": ENGINES.get(name, {})}))
    ]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(SETUP)]
    with hold(outputs.pop("taken"), RecipeError):
        finished = subprocess.run(
            [*command, *pairs],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    missing = [name for name, output in outputs.items() if not (output / "adapter").is_dir()]
    assert not missing, finished.stderr[-4000:]
    return {name: numbers(output) for name, output in outputs.items()}, finished


@pytest.mark.parametrize("engine", ENGINES)
def test_two_ranks_match_one(two_ranks, alone, engine):
    for got, expected in zip(two_ranks[0][engine], alone, strict=True):
        torch.testing.assert_close(torch.tensor(got), torch.tensor(expected), rtol=0, atol=1e-3)


def test_ranks_of_one_run_share_the_folder_and_are_refused_together(two_ranks):
    _, finished = two_ranks
    assert finished.returncode != 0
    assert finished.stderr.count("taken is in use by another run") >= 2
