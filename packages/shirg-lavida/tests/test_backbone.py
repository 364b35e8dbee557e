import pytest
import torch
import torch.nn.functional as F

from shirg_lavida.families.llada import LLADA
from shirg_lavida.language.backbone import Backbone, BackboneConfig, rotate
from shirg_lavida.language.gated import gated
from shirg_lavida.language.masks import prefix_mask

from .language_models import answer, backbone, prefix


def positions(batch, start, length):
    return torch.arange(start, start + length).expand(batch, length)


@pytest.mark.parametrize("changes", [{}, {"n_kv_heads": 2}, {"n_kv_heads": 1}, {"weight_tying": True}], ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_cached_equals_uncached_prefix_attention(changes, batch):
    model, x, ids = backbone(**changes), prefix(batch, 21), answer(batch, 8)
    cache = model.prefill(x, positions(batch, 0, 21), answer_length=8)
    cached = model.denoise(model.embed(ids), positions(batch, 21, 8), cache)
    with torch.no_grad():
        whole = torch.cat([x, model.embed(ids)], dim=1)
        uncached = model(whole, positions(batch, 0, 29), prefix_mask(21, 8))[:, 21:]
    torch.testing.assert_close(cached, uncached, rtol=1e-4, atol=1e-5)


def test_prefix_sees_no_answer_token():
    model, x = backbone(), prefix(1, 10)
    hidden = []
    for seed in (1, 2):
        with torch.no_grad():
            whole = torch.cat([x, model.embed(answer(1, 4, seed))], dim=1)
            hidden.append(model(whole, positions(1, 0, 14), prefix_mask(10, 4)))
    torch.testing.assert_close(hidden[0][:, :10], hidden[1][:, :10])
    assert not torch.allclose(hidden[0][:, 10:], hidden[1][:, 10:])


def test_everything_sees_everything_without_a_mask():
    model, x = backbone(), prefix(1, 10)
    changed = x.clone()
    changed[:, -1] += 1
    with torch.no_grad():
        one, two = (model(y, positions(1, 0, 10)) for y in (x, changed))
    assert ((one - two).abs().amax(dim=-1) > 1e-4).all()


def test_only_relative_positions_matter():
    model, x = backbone(), prefix(1, 12)
    with torch.no_grad():
        torch.testing.assert_close(model(x, positions(1, 0, 12)), model(x, positions(1, 100, 12)), rtol=1e-3, atol=1e-4)
        assert not torch.allclose(model(x, positions(1, 0, 12)), model(x, positions(1, 0, 12) * 2), atol=1e-3)


def test_rotation_by_hand():
    # Two channels, one pair: a plain rotation by the angle.
    angle = torch.tensor([0.0, torch.pi / 2]).view(1, 1, 2, 1).expand(1, 1, 2, 2)
    x = torch.tensor([[1.0, 2.0], [1.0, 2.0]]).view(1, 1, 2, 2)
    expected = torch.tensor([[1.0, 2.0], [-2.0, 1.0]]).view(1, 1, 2, 2)
    torch.testing.assert_close(rotate(x, (angle.cos(), angle.sin())), expected)


def test_padding_before_a_short_prompt_changes_nothing():
    model, x, ids = backbone(), prefix(1, 9), answer(1, 6)
    alone = model.denoise(model.embed(ids), positions(1, 9, 6), model.prefill(x, positions(1, 0, 9), answer_length=6))
    padded = torch.cat([torch.full((1, 4, x.shape[-1]), 7.0), x], dim=1)
    mask = torch.arange(13)[None] >= 4
    where = (mask.cumsum(dim=1) - 1).clamp(min=0)
    cache = model.prefill(padded, where, mask, answer_length=6)
    torch.testing.assert_close(model.denoise(model.embed(ids), positions(1, 9, 6), cache), alone, rtol=1e-4, atol=1e-5)


def test_observed_attention_is_a_distribution_and_changes_nothing():
    model, x, ids = backbone(n_kv_heads=2), prefix(2, 15), answer(2, 5)
    cache = model.prefill(x, positions(2, 0, 15), answer_length=5)
    plain = model.denoise(model.embed(ids), positions(2, 15, 5), cache)
    hidden, paid = model.observe(model.embed(ids), positions(2, 15, 5), cache)
    assert torch.equal(plain, hidden)
    assert paid.shape == (2, 5, 15)
    assert (paid >= 0).all()
    assert (paid.sum(dim=-1) < 1).all()  # the rest goes to the answer itself


def test_key_map_names_every_parameter_once_with_upstreams_names():
    config = BackboneConfig(32, 4, 2, 48, 64)
    names = LLADA.key_map(config)
    assert sorted(names.values()) == sorted(Backbone(config).state_dict())
    assert names["model.transformer.blocks.1.attn_out.weight"] == "blocks.1.attn_out.weight"
    assert names["model.transformer.wte.weight"] == "wte.weight"
    assert len(names) == 2 * 9 + 3


def test_tied_output_has_no_key_and_uses_the_embedding():
    model = backbone(weight_tying=True)
    assert "model.transformer.ff_out.weight" not in LLADA.key_map(model.config)
    hidden = torch.randn(2, 3, 32)
    torch.testing.assert_close(model.logits(hidden), hidden @ model.wte.weight.T)


def test_bfloat16_keeps_its_dtype_and_is_close():
    model, x, ids = backbone(), prefix(), answer()
    exact = model.logits(
        model.denoise(model.embed(ids), positions(1, 20, 8), model.prefill(x, positions(1, 0, 20), answer_length=8))
    )
    half = backbone().bfloat16()
    cache = half.prefill(x.bfloat16(), positions(1, 0, 20), answer_length=8)
    rough = half.logits(half.denoise(half.embed(ids), positions(1, 20, 8), cache))
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()


def test_forward_is_differentiable_under_the_prefix_mask():
    model, x = backbone(), prefix(1, 6).requires_grad_()
    whole = torch.cat([x, model.embed(answer(1, 4))], dim=1)
    model.logits(model(whole, positions(1, 0, 10), prefix_mask(6, 4))[:, 6:]).square().mean().backward()
    assert x.grad is not None
    assert (x.grad.abs().amax(dim=-1) > 0).all()


def test_too_many_answer_tokens_for_the_cache():
    model = backbone()
    cache = model.prefill(prefix(), positions(1, 0, 20), answer_length=4)
    with pytest.raises(ValueError, match="room for 4 answer tokens, got 8"):
        model.denoise(model.embed(answer()), positions(1, 20, 8), cache)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_gated_product_keeps_its_factors_only_and_has_the_same_gradients(dtype):
    draws = torch.Generator().manual_seed(0)
    given, upstream = torch.randn(2, 3, 40, generator=draws).to(dtype), torch.randn(3, 40, generator=draws).to(dtype)
    gradients, kept = [], []
    for product in (gated, lambda a, b: F.silu(a) * b):
        a, b = (x.clone().requires_grad_() for x in given)
        seen = set()
        with torch.autograd.graph.saved_tensors_hooks(lambda x: seen.add(x.data_ptr()) or x, lambda x: x):  # noqa: B023
            out = product(a, b)
        kept.append(len(seen))
        out.backward(upstream)
        gradients.append((out.detach(), a.grad, b.grad))
    assert kept == [2, 3]
    assert all(map(torch.equal, *gradients))
