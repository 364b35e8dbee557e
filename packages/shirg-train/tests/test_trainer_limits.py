"""Recipes, samples and losses that cannot be used: refused, skipped and counted, or stopped before a checkpoint."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from shirg_lavida.testing import tiny_lavida
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.metrics import read_metrics
from shirg_train.recipe import RecipeError
from shirg_train.trainer import loop
from shirg_train.trainer.engine import TorchEngine
from shirg_train.trainer.run import Sources, count_steps, run

from .training_setup import (
    ALONE,
    TinyStream,
    assert_same_run,
    losses,
    run_interrupted,
    state,
    tiny_recipe,
    tiny_sources,
)


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
