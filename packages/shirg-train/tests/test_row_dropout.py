"""Dropout that a row keeps, whatever it is batched with."""

import pytest
import torch
from safetensors.torch import load_file

from shirg_lavida.testing import tiny_lavida
from shirg_train.adapter.dropout import RowDropout, keep_mask, row_keys, seed_dropout, stacked_keys
from shirg_train.adapter.lora import AdapterConfig, attach
from shirg_train.checkpointing import latest_checkpoint
from shirg_train.metrics import read_metrics
from shirg_train.seeds import derive
from shirg_train.trainer.run import run

from .training_setup import ALONE, tiny_recipe, tiny_sources

KEYS = torch.tensor([derive(3, row) for row in range(4)])


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_as_many_are_dropped_as_asked_and_independently(p):
    kept = keep_mask(KEYS, 300, 128, p).float()
    assert kept.mean() == pytest.approx(1 - p, abs=5e-3)
    for axis in ((1, 2), (0, 2), (0, 1)):
        assert (kept.mean(dim=axis) - (1 - p)).abs().max() < 0.08
    centred = (kept - (1 - p)) / (p * (1 - p)) ** 0.5
    for one, other in (
        (centred[0], centred[1]),
        (centred[:, 1:], centred[:, :-1]),
        (centred[..., 1:], centred[..., :-1]),
    ):
        assert (one * other).mean().abs() < 0.02


def test_a_row_keeps_its_mask_in_any_batch_and_behind_any_padding():
    whole = keep_mask(KEYS, 20, 8, 0.3)
    assert torch.equal(keep_mask(KEYS[2:3], 20, 8, 0.3), whole[2:3])
    assert torch.equal(keep_mask(KEYS, 15, 8, 0.3), whole[:, 5:])


def test_layers_rows_and_stacked_samples_differ():
    x = torch.ones(8, 30, 16)
    layers = [RowDropout(0.5, name).train() for name in ("a", "b")]
    with row_keys(KEYS):
        one, other = (layer(x) for layer in layers)
        again = layers[0](x)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert len({tuple(row.flatten().tolist()) for row in one}) == 8
    assert set(one.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(stacked_keys(KEYS, 2)[4:5], stacked_keys(KEYS[:1], 2)[1:])


def test_training_without_keys_is_an_error_and_evaluation_needs_none():
    model = tiny_lavida(side=5)
    attach(model, AdapterConfig(r=2, dropout=0.5))
    seed_dropout(model)
    x = torch.randn(2, 25, 32)
    with pytest.raises(RuntimeError, match="2 rows of dropout have 0 keys"):
        model.train().projector(x)
    with row_keys(KEYS[:3]), pytest.raises(RuntimeError, match="2 rows of dropout have 3 keys"):
        model.projector(x)
    model.eval().projector(x)


@pytest.fixture(scope="module")
def one_batch(tmp_path_factory):
    """Four rows of different lengths at once, dropout in tower, projector and language model."""
    return {key: trained(tmp_path_factory.mktemp("one"), key, 4) for key in ("prefix", "full")}


def trained(output, attention, micro, **changes):
    # Without biases: a key's has no gradient but rounding, which Adam blows up.
    adapter = {"r": 2, "alpha": 4, "dropout": 0.3, "tower_blocks": "all", "language_blocks": "all", "bias": "none"}
    loss = {"extra_padding": 4, "attention": attention}
    recipe = tiny_recipe(
        output,
        adapter=adapter,
        loss=loss,
        # Adam divides by the size of the gradient: where that is all but zero, rounding becomes a step.
        optim={"lr": 0.01, "warmup_steps": 1, "eps": 1e-3},
        steps=3,
        keep=[8, "pooling", "full"],
        batch={"size": 4, "micro": micro},
        validation={"every": 3, "times": 2},
        **changes,
    )
    run(recipe, tiny_sources(), ALONE)
    return output


@pytest.mark.parametrize("attention", ["prefix", "full"])
@pytest.mark.parametrize(("micro", "recompute"), [(1, True), (2, False)])
def test_micro_batches_do_not_change_what_is_learnt(one_batch, tmp_path, attention, micro, recompute):
    other = trained(tmp_path, attention, micro, engine={"recompute": recompute})
    outputs = one_batch[attention], other
    left, right = (load_file(latest_checkpoint(o / "checkpoints") / "state.safetensors") for o in outputs)
    assert max(float((left[name] - right[name]).abs().max()) for name in left if "parameter" in name) < 2e-6
    nll = [read_metrics(o / "metrics.jsonl", "validation")[-1]["nll"] for o in outputs]
    assert nll[0] == pytest.approx(nll[1], abs=1e-5)
