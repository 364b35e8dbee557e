"""A LoRA that grows computes what it did before, and goes on from there."""

import pytest
import torch

from shirg_lavida.testing import tiny_lavida
from shirg_train.adapter.growth import grow_config, grow_moments, grow_parameters
from shirg_train.adapter.lora import AdapterConfig, attach, trainable

OLD = AdapterConfig(r=4, alpha=8.0, dropout=0.0)
X = torch.randn(2, 25, 32, generator=torch.Generator().manual_seed(0))


def trained(config):
    model = tiny_lavida(side=5)
    attach(model, config)
    generator = torch.Generator().manual_seed(1)
    for parameter in trainable(model).values():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.fixture(scope="module")
def grown():
    small = trained(OLD)
    parameters = {name: p.detach() for name, p in trainable(small).items()}
    larger = grow_parameters(parameters, 16, torch.Generator().manual_seed(2))
    model = tiny_lavida(side=5)
    attach(model, grow_config(OLD, 16))
    for name, parameter in trainable(model).items():
        parameter.data.copy_(larger[name])
    return small, model, parameters, larger


def test_the_function_is_the_same(grown):
    small, large, *_ = grown
    torch.testing.assert_close(large.projector(X), small.projector(X), rtol=1e-5, atol=1e-5)


def test_gradients_of_old_entries_are_the_same_and_new_ones_can_learn(grown):
    small, large, parameters, _ = grown
    for model in (small, large):
        model.zero_grad()
        model.projector(X).square().mean().backward()
    before, after = trainable(small), trainable(large)
    for name, old in parameters.items():
        corner = tuple(slice(size) for size in old.shape)
        torch.testing.assert_close(after[name].grad[corner], before[name].grad, rtol=1e-4, atol=1e-6)
    assert after["projector.0.lora_B.default.weight"].grad[:, 4:].abs().sum() > 0


def test_old_entries_and_their_moments_stay(grown):
    *_, parameters, larger = grown
    moments = {
        name: {"step": torch.tensor(7.0), "exp_avg": torch.rand(p.shape), "exp_avg_sq": torch.rand(p.shape)}
        for name, p in parameters.items()
    }
    after = grow_moments(moments, larger)
    for name, old in parameters.items():
        corner = tuple(slice(size) for size in old.shape)
        assert torch.equal(larger[name][corner], old)
        assert after[name]["step"] == 7
        for key in ("exp_avg", "exp_avg_sq"):
            assert after[name][key].shape == larger[name].shape
            assert torch.equal(after[name][key][corner], moments[name][key])
    new = after["projector.0.lora_B.default.weight"]
    assert not new["exp_avg"][:, 4:].any()
    expected = moments["projector.0.lora_B.default.weight"]["exp_avg_sq"].mean(1, keepdim=True).expand(-1, 12)
    torch.testing.assert_close(new["exp_avg_sq"][:, 4:], expected)


def test_scale_stays():
    assert grow_config(OLD, 16) == AdapterConfig(r=16, alpha=32.0, dropout=0.0)
    with pytest.raises(ValueError, match="rank 4 cannot grow to rank 2"):
        grow_config(OLD, 2)
