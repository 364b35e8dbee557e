"""The trainer on one process: the same curve from the same seed, whatever happens in between."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from shirg_core import ShirgV3
from shirg_core.methods import METHODS, Method
from shirg_core.precision import default_dtype
from shirg_lavida.checkpoint.adapter import merge_adapter, trained_positions
from shirg_lavida.checkpoint.fingerprint import linear_marks
from shirg_lavida.testing import tiny_lavida
from shirg_train import checkpointing
from shirg_train.adapter.lora import attach, released_names, trainable
from shirg_train.checkpointing import TRAINER_FILE, CheckpointError, latest_checkpoint
from shirg_train.metrics import read_metrics
from shirg_train.recipe import RecipeError, differences
from shirg_train.trainer.measure import measure, validation_policy
from shirg_train.trainer.module import LossModule
from shirg_train.trainer.resume import find_checkpoint
from shirg_train.trainer.run import build_engine, run

from .training_setup import (
    ALONE,
    assert_same_run,
    losses,
    run_interrupted,
    state,
    tiny_recipe,
    tiny_sources,
)

SETUP = Path(__file__).with_name("training_setup.py")
GROWS = {"escalation": {"ranks": [4], "after": [0.3], "margin": -10.0}}
"""A margin that no NLL stays below: the adapter grows at the first validation after 30 % of the steps."""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """As in the processes that are compared with: sums over another number of threads round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run of six steps, dropout and growth included."""
    output = tmp_path_factory.mktemp("whole")
    run(tiny_recipe(output, **GROWS, log={"progress": False, "timings": True}), tiny_sources(), ALONE)
    return output


def test_same_seed_same_curve_other_seed_another(whole, tmp_path):
    run(tiny_recipe(tmp_path / "same", **GROWS), tiny_sources(), ALONE)
    assert "timings_ms" not in read_metrics(tmp_path / "same" / "metrics.jsonl", "step")[0]
    assert_same_run(whole, tmp_path / "same")
    run(tiny_recipe(tmp_path / "other", seed=1, **GROWS), tiny_sources(), ALONE)
    assert losses(whole) != losses(tmp_path / "other")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=["bf16", "fp64"])
def test_the_default_dtype_decides_nothing(whole, tmp_path, dtype):
    with default_dtype(dtype):
        run(tiny_recipe(tmp_path, **GROWS), tiny_sources(), ALONE)
    assert_same_run(whole, tmp_path)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_resumed_equals_uninterrupted(whole, tmp_path, monkeypatch, steps):
    run_interrupted(monkeypatch, tmp_path, steps, **GROWS)
    run(tiny_recipe(tmp_path, **GROWS), tiny_sources(), ALONE)
    assert_same_run(whole, tmp_path)


def test_killed_processes_leave_no_lock_and_resume(whole, tmp_path):
    command = [sys.executable, str(SETUP), str(tmp_path), repr(GROWS)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        metrics = tmp_path / "metrics.jsonl"
        while not metrics.exists() or metrics.read_text().count('"kind": "step"') < 3:
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len(losses(tmp_path)) < 6
    with torch.random.fork_rng():
        run(tiny_recipe(tmp_path, **GROWS), tiny_sources(), ALONE)
    assert_same_run(whole, tmp_path)


def test_growth_is_an_event_and_the_adapter_has_the_new_rank(whole):
    (event,) = read_metrics(whole / "metrics.jsonl", "event")
    assert (event["event"], event["step"], event["old_rank"], event["new_rank"]) == ("rank_escalation", 3, 2, 4)
    config = json.loads((whole / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 8)


def test_every_line_of_the_log_is_documented(whole):
    page = (Path(__file__).parents[3] / "docs" / "json.md").read_text(encoding="utf-8")
    fields = set(re.findall(r"^\| `(\w+)` \|", page.partition("## `shirg.train/1`")[2], flags=re.MULTILINE))
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert {line["schema"] for line in lines} == {"shirg.train/1"}
    assert {"start", "step", "validation", "event"} == {line["kind"] for line in lines}
    assert set().union(*lines) == fields - {"samples"}  # of samples that were skipped
    steps = [line for line in lines if line["kind"] == "step"]
    assert all({part for part, ms in line["timings_ms"].items() if ms <= 0} <= {"select"} for line in steps)
    assert {line["timings_ms"]["select"] > 0 for line in steps} == {line["policy"] != "pooling" for line in steps}


def test_validation_nll_falls(tmp_path):
    recipe = tiny_recipe(tmp_path, steps=30, validation={"every": 15}, optim={"lr": 0.05, "warmup_steps": 2})
    run(recipe, tiny_sources(), ALONE)
    first, *_, last = read_metrics(tmp_path / "metrics.jsonl", "validation")[1:]
    assert all(last["nll"][name] < first["nll"][name] - 0.5 for name in first["nll"])


def test_the_result_is_an_adapter(whole):
    here, theirs = tiny_lavida(side=5), tiny_lavida(side=5)
    merge_adapter(here, whole / "adapter")
    PeftModel.from_pretrained(released_names(theirs), str(whole / "adapter"))
    x = torch.randn(3, 25, 32)
    torch.testing.assert_close(here.projector(x), theirs.projector(x))
    assert not torch.equal(here.projector(x), tiny_lavida(side=5).projector(x))
    card = json.loads((whole / "adapter" / "shirg.json").read_text())
    assert card["step"] == 6
    # Recorded where training started or grew: 4 · (32 + 64) + 4 · (64 + 64) + 2 · 64.
    assert card["parameters"]["trainable"] == 1024
    (start,) = read_metrics(whole / "metrics.jsonl", "start")
    assert start["parameters"]["trainable"] == 576


@pytest.mark.parametrize("micro", [1, 2, 4])
def test_micro_batches_do_not_change_the_step(tmp_path, micro):
    adapter = {"r": 2, "alpha": 4, "dropout": 0.0}
    run(tiny_recipe(tmp_path / "a", steps=3, adapter=adapter, batch={"size": 4, "micro": 4}), tiny_sources(), ALONE)
    run(tiny_recipe(tmp_path / "b", steps=3, adapter=adapter, batch={"size": 4, "micro": micro}), tiny_sources(), ALONE)
    for (_, one, _), (_, other, _) in zip(losses(tmp_path / "a"), losses(tmp_path / "b"), strict=True):
        assert one == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("weighting", ["none", "inverse_t"])
@pytest.mark.parametrize("attention", ["prefix", "full"])
@pytest.mark.parametrize("complement", [False, True])
def test_every_loss_trains(tmp_path, weighting, attention, complement):
    loss = {"weighting": weighting, "attention": attention, "complement": complement, "extra_padding": 0}
    run(tiny_recipe(tmp_path, steps=2, loss=loss, validation={"every": 0}), tiny_sources(), ALONE)
    assert len(losses(tmp_path)) == 2


def test_bfloat16_own_weights_and_tower(tmp_path):
    recipe = tiny_recipe(
        tmp_path,
        steps=3,
        model={"path": "tiny", "precision": "bf16"},
        adapter={"r": 2, "alpha": 4, "train_projector": True, "tower_blocks": [1]},
        optim={"lr": 0.01, "lr_mm": 0.001, "warmup_steps": 1},
    )
    run(recipe, tiny_sources(), ALONE)
    saved = state(tmp_path)
    fresh = tiny_lavida(side=5).to(torch.bfloat16)
    own = saved["parameter/projector.0.base_layer.weight"]
    assert own.dtype == torch.float32
    change = (own - fresh.projector[0].weight.float()).abs().max()
    assert 0 < change < 0.01
    assert saved["parameter/tower.siglip.encoder.layers.1.self_attn.q_proj.lora_B.default.weight"].any()


def test_a_lora_on_the_language_model_trains_and_resumes(tmp_path, monkeypatch):
    adapter = {"r": 2, "alpha": 4, "dropout": 0.5, "language_blocks": "all"}
    changes = {"adapter": adapter, "positions": "original", **GROWS}
    run(tiny_recipe(tmp_path / "whole", **changes), tiny_sources(), ALONE)
    run_interrupted(monkeypatch, tmp_path / "parts", 5, **changes)
    run(tiny_recipe(tmp_path / "parts", **changes), tiny_sources(), ALONE)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    card = json.loads((tmp_path / "whole" / "adapter" / "shirg.json").read_text())
    marks = linear_marks(tiny_lavida(side=5), card["linears"])
    assert len(marks) == 8
    assert marks == card["linears"], "of the weights before training, whenever the run was resumed"
    saved = state(tmp_path / "whole")
    assert saved["parameter/backbone.blocks.1.attn_out.lora_B.default.weight"].any()
    assert saved["parameter/backbone.blocks.0.q_proj.lora_A.default.weight"].shape == (4, 64)


def test_a_method_of_ones_own_trains(tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "own", Method("own", "As v3.", ShirgV3))
    run(tiny_recipe(tmp_path, keep=[{"method": "own", "budget": 8}], steps=1), tiny_sources(), ALONE)
    run(
        tiny_recipe(tmp_path / "v3", keep=[{"method": "v3", "budget": 8, "views": "anyres"}], steps=1),
        tiny_sources(),
        ALONE,
    )
    ((step, loss, name),), ((_, expected, _),) = losses(tmp_path), losses(tmp_path / "v3")
    assert (step, loss, name) == (1, expected, "own-8")


def test_v3_is_trained_on_the_towers_attention(tmp_path):
    """The first loss is that of untrained weights, so it differs only where other tokens were kept."""
    for method in ("v3", "v3-tower"):
        run(tiny_recipe(tmp_path / method, keep=[{"method": method, "budget": 8}], steps=1), tiny_sources(), ALONE)
    ((_, cosines, _),), ((_, tower, name),) = losses(tmp_path / "v3"), losses(tmp_path / "v3-tower")
    assert name == "v3-tower-8"
    assert tower != cosines


def test_positions_are_the_recipes_and_recorded(tmp_path):
    for positions in ("packed", "original"):
        run(tiny_recipe(tmp_path / positions, steps=2, keep=[8], positions=positions), tiny_sources(), ALONE)
        assert trained_positions(tmp_path / positions / "adapter") == positions
    assert losses(tmp_path / "packed") != losses(tmp_path / "original")


def test_a_run_from_before_a_key_existed_goes_on(tmp_path):
    run(tiny_recipe(tmp_path, steps=2), tiny_sources(), ALONE)
    path = latest_checkpoint(tmp_path / "checkpoints") / TRAINER_FILE
    card = json.loads(path.read_text())
    del card["recipe"]["positions"], card["recipe"]["adapter"]["language_blocks"]
    path.write_text(json.dumps(card))
    assert find_checkpoint(tiny_recipe(tmp_path, steps=2), ALONE) is not None
    with pytest.raises(RecipeError, match="a run with positions: 'packed', this recipe says 'original'"):
        find_checkpoint(tiny_recipe(tmp_path, steps=2, positions="original"), ALONE)


def test_a_full_disk_ends_the_run_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    real, calls = checkpointing.save_file, []

    def full(*arguments):
        calls.append(None)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(checkpointing, "save_file", full)
        with pytest.raises(CheckpointError, match=r"No space left.*intact.*step-00000002"):
            run(tiny_recipe(tmp_path), tiny_sources(), ALONE)
    run(tiny_recipe(tmp_path), tiny_sources(), ALONE)
    assert [step for step, *_ in losses(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_a_finished_run_stays_finished(whole):
    before = (whole / "metrics.jsonl").read_bytes()
    assert run(tiny_recipe(whole, **GROWS), tiny_sources(), ALONE) == whole / "adapter"
    assert (whole / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"optim": {"lr": 0.5, "warmup_steps": 2}},
            r"holds a run with optim\.lr: 0\.01, this recipe says 0\.5; choose",
        ),
        (
            {"optim": {"lr": 0.5}, "seed": 9},
            r"optim\.lr: 0\.01, this recipe says 0\.5; .*seed: \d, this recipe says 9; choose",
        ),
        ({"resume": "never"}, "resume is 'never'"),
    ],
)
def test_another_run_in_the_same_folder_is_refused(whole, change, message):
    with pytest.raises(RecipeError, match=message):
        run(tiny_recipe(whole, **{**GROWS, **change}), tiny_sources(), ALONE)


def test_a_refusal_shows_only_the_entries_of_a_list_that_differ():
    keep = [{"method": "v2", "budget": 0.5}, {"method": "pooling"}]
    now = [{"method": "v2", "budget": 0.25}, {"method": "pooling"}]
    assert differences({"keep": (keep, now)}) == "keep[0].budget: 0.5, this recipe says 0.25"
    assert differences({"keep": (keep, now[:1])}) == f"keep: {keep}, this recipe says {now[:1]}"


def test_validation_is_the_same_whatever_dropout_drew(tmp_path):
    """Two validations of one model; in between torch's generator moves on, as training moves it."""
    recipe = tiny_recipe(tmp_path, adapter={"r": 2, "alpha": 4, "dropout": 0.5})
    lavida = tiny_lavida(side=5).requires_grad_(requires_grad=False)
    attach(lavida, recipe.adapter)
    for name, parameter in trainable(lavida).items():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    module = LossModule(lavida.train(), recipe.loss, torch.float32, recompute=False)
    engine = build_engine(module, recipe, ALONE)
    held_out = tiny_sources().held_out
    asked = {"recipe": recipe, "eos_id": lavida.config.eos_token_id, "world": ALONE}
    policy = validation_policy(recipe.keep[0], recipe.seed)
    one, other = (measure(engine, held_out, policy, **asked) for _ in range(2))
    assert one == other
    assert lavida.training
    lavida.eval()
    assert measure(engine, held_out, policy, **asked) == one
