"""The trainer on one process: the same curve from the same seed, whatever happens in between."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from PIL import Image
from safetensors.torch import load_file

from shirg_core import ShirgV3
from shirg_core.method import Method
from shirg_core.methods import METHODS
from shirg_core.precision import default_dtype
from shirg_lavida.checkpoint.adapter import merge_adapter, trained_positions
from shirg_lavida.checkpoint.fingerprint import linear_marks
from shirg_lavida.testing import tiny_lavida
from shirg_train import checkpointing
from shirg_train.adapter.lora import attach, released_names, trainable
from shirg_train.checkpointing import TRAINER_FILE, CheckpointError, latest_checkpoint
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.metrics import read_metrics
from shirg_train.recipe import RecipeError
from shirg_train.trainer import loop
from shirg_train.trainer.engine import TorchEngine
from shirg_train.trainer.measure import measure, validation_policy
from shirg_train.trainer.module import LossModule
from shirg_train.trainer.resume import find_checkpoint
from shirg_train.trainer.run import Sources, build_engine, count_steps, run

from .training_setup import ALONE, TinyStream, tiny_recipe, tiny_sources

SETUP = Path(__file__).with_name("training_setup.py")
GROWS = {"escalation": {"ranks": [4], "after": [0.3], "margin": -10.0}}
"""A margin that no NLL stays below: the adapter grows at the first validation after 30 % of the steps."""


class InterruptedRunError(Exception):
    """Stands for whatever ends a process."""


def losses(output):
    return [(line["step"], line["loss"], line["policy"]) for line in read_metrics(output / "metrics.jsonl", "step")]


def state(output):
    return load_file(latest_checkpoint(output / "checkpoints") / "state.safetensors")


def assert_same_run(one, other):
    assert losses(one) == losses(other)
    for kind in ("validation", "event"):
        lines = [read_metrics(output / "metrics.jsonl", kind) for output in (one, other)]
        assert lines[0] == lines[1]
    left, right = state(one), state(other)
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


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
    run(tiny_recipe(output, **GROWS), tiny_sources(), ALONE)
    return output


def test_same_seed_same_curve_other_seed_another(whole, tmp_path):
    run(tiny_recipe(tmp_path / "same", **GROWS), tiny_sources(), ALONE)
    assert_same_run(whole, tmp_path / "same")
    run(tiny_recipe(tmp_path / "other", seed=1, **GROWS), tiny_sources(), ALONE)
    assert losses(whole) != losses(tmp_path / "other")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=["bf16", "fp64"])
def test_the_default_dtype_decides_nothing(whole, tmp_path, dtype):
    with default_dtype(dtype):
        run(tiny_recipe(tmp_path, **GROWS), tiny_sources(), ALONE)
    assert_same_run(whole, tmp_path)


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


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_resumed_equals_uninterrupted(whole, tmp_path, monkeypatch, steps):
    run_interrupted(monkeypatch, tmp_path, steps, **GROWS)
    run(tiny_recipe(tmp_path, **GROWS), tiny_sources(), ALONE)
    assert_same_run(whole, tmp_path)


def test_killed_processes_resume(whole, tmp_path):
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
        ({"resume": "never"}, "resume is 'never'"),
    ],
)
def test_another_run_in_the_same_folder_is_refused(whole, change, message):
    with pytest.raises(RecipeError, match=message):
        run(tiny_recipe(whole, **{**GROWS, **change}), tiny_sources(), ALONE)


def test_recipes_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"no linear 'mm_projector\.7'"):
        run(tiny_recipe(tmp_path, adapter={"target": ["mm_projector.7"]}), tiny_sources(), ALONE)
    with pytest.raises(RecipeError, match=r"batch.size=3.*1 ranks × batch.micro=2"):
        run(tiny_recipe(tmp_path, batch={"size": 3, "micro": 2}), tiny_sources(), ALONE)
    (tmp_path / "file").touch()
    with pytest.raises(RecipeError, match=r"output: .*file"):
        run(tiny_recipe(tmp_path / "file"), tiny_sources(), ALONE)
    for every, found in ((0, "1000 samples in a row do not fit"), (1, "no held-out sample fits")):
        recipe = tiny_recipe(tmp_path / f"{every}", keep=[{"method": "v2", "budget": 500}], validation={"every": every})
        message = rf"policy v2-500: {found}; .* budget K=500 is larger than the \d+ selectable .*cap_budget"
        with pytest.raises(RecipeError, match=message):
            run(recipe, tiny_sources(), ALONE)
    with pytest.raises(RecipeError, match="set steps"):
        count_steps(tiny_recipe(tmp_path, steps=None), None)
    assert count_steps(tiny_recipe(tmp_path, steps=None, epochs=3), 10) == 8


def test_a_stream_that_ends_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(TinyStream, "__iter__", lambda _self: iter(()))
    with pytest.raises(RecipeError, match="the data ended at step 0 of 6"):
        run(tiny_recipe(tmp_path), tiny_sources(), ALONE)


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


@pytest.mark.parametrize("broken", ["loss", "gradient"])
def test_what_is_not_finite_reaches_no_checkpoint(tmp_path, monkeypatch, broken):
    real, steps = loop._train_step, []

    def infinite(engine, total, normaliser):
        real_backward(engine, total, normaliser)
        if len(steps) > 3:
            next(iter(engine._parameters.values())).grad.view(-1)[0] = torch.inf

    def not_a_number(engine, batch, policy, **options):
        nll = real_forward(engine, batch, policy, **options)
        return nll._replace(total=nll.total * (torch.nan if len(steps) > 3 else 1))

    def counted(*arguments):
        steps.append(None)
        real(*arguments)

    real_backward, real_forward = TorchEngine.backward, TorchEngine.forward
    monkeypatch.setattr(loop, "_train_step", counted)
    if broken == "loss":
        monkeypatch.setattr(TorchEngine, "forward", not_a_number)
    else:
        monkeypatch.setattr(TorchEngine, "backward", infinite)
    with pytest.raises(FloatingPointError, match="the newest checkpoint is intact"):
        run(tiny_recipe(tmp_path, validation={"every": 0}), tiny_sources(), ALONE)
    saved = state(tmp_path)
    assert len(losses(tmp_path)) == 3
    assert all(tensor.isfinite().all() for tensor in saved.values())


def test_policies_that_differ_in_an_option_have_names_of_their_own():
    policies = [PolicyConfig("v3", 8), PolicyConfig("v3", 8, options={"temperature": 0.05}), PolicyConfig("v3", 4)]
    assert [policy.name for policy in policies] == ["v3-8", "v3-8(temperature=0.05)", "v3-4"]


def test_a_context_that_holds_no_sample_is_one_clear_error(tmp_path):
    def short(dtype):
        return tiny_lavida(side=5, max_sequence_length=30).to(dtype)

    sources = replace(tiny_sources(), load_model=short)
    for every in (0, 1):
        recipe = tiny_recipe(tmp_path / f"{every}", keep=["baseline"], validation={"every": every})
        message = r"policy baseline: .*context holds 30\. .* lower data\.max_tokens"
        with pytest.raises(RecipeError, match=message):
            run(recipe, sources, ALONE)


class MixedStream(TinyStream):
    """Every fifth sample has an image of one row of tokens, every seventh a long answer."""

    def __iter__(self):
        for sample in super().__iter__():
            number = self._count - 1
            if number % 5 == 3:
                yield replace(sample, images=(Image.new("RGB", (1000, 2)),))
            elif number % 7 == 6:
                yield replace(sample, answer_ids=torch.arange(2, 202))
            else:
                yield sample


def mixed_sources():
    held_out = [*tiny_sources().held_out, replace(tiny_sources().held_out[0], images=(Image.new("RGB", (1000, 2)),))]
    return Sources(lambda dtype: tiny_lavida(side=5, max_sequence_length=220).to(dtype), MixedStream(ALONE), held_out)


def test_samples_that_do_not_fit_are_skipped_counted_and_told(tmp_path, monkeypatch, caplog):
    changes = {"keep": [{"method": "v2", "budget": 30}], "validation": {"every": 6, "times": 1}}
    run(tiny_recipe(tmp_path / "whole", **changes), mixed_sources(), ALONE)
    assert len(losses(tmp_path / "whole")) == 6
    (event,) = read_metrics(tmp_path / "whole" / "metrics.jsonl", "event")
    assert event["event"] == "skipped"
    assert event["samples"].keys() == {"budget (v2-30)", "context (v2-30)"}
    assert min(event["samples"].values()) > 1
    told = "\n".join(caplog.messages)
    assert "skipped a sample that does not fit: budget: budget K=30 is larger than the" in told
    assert "but the model's context holds 220" in told
    assert "validation at step 0, policy v2-30: 1 of 6 samples do not fit; the last one: budget: " in told
    assert f"{sum(event['samples'].values())} samples were skipped: " in caplog.messages[-1]
    run_interrupted(monkeypatch, tmp_path / "parts", 3, mixed_sources, **changes)
    run(tiny_recipe(tmp_path / "parts", **changes), mixed_sources(), ALONE)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_capped_budget_learns_from_small_images_too(tmp_path):
    keep = [{"method": "v2", "budget": 30, "cap_budget": True}]
    run(tiny_recipe(tmp_path, keep=keep, steps=3, validation={"every": 0}), mixed_sources(), ALONE)
    (event,) = read_metrics(tmp_path / "metrics.jsonl", "event")
    assert event["samples"].keys() == {"context (v2-30-capped)"}
