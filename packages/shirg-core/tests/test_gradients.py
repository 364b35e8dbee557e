"""Gradients reach the features through the gather and the summary, and by no other way."""

import pytest
import torch
from torch.testing import assert_close

from shirg_core import View, ViewLayout, shirg_v2, shirg_v3
from shirg_core.selection import gather_tokens
from shirg_core.selection.summary import summarise

from . import oracle
from .strategies import DTYPES, generator, make_features

LAYOUT = ViewLayout(
    views=(View(3, 4), View(2, 3, valid=[[True, True, False]] * 2), View(1, 2, pinned=True)),
)
BUDGET = 9


def example(dtype=torch.float64, width=5):
    x = make_features("normal", 2, LAYOUT.n_tokens, width, 3).to(dtype)
    inputs = {
        "text": torch.randn(2, 3, width, generator=generator(4)).to(dtype),
        "edges": torch.rand(2, LAYOUT.n_tokens, generator=generator(5)),
    }
    return x, inputs


def probe(shape, dtype=torch.float64):
    return torch.randn(shape, generator=generator(6)).to(dtype)


@pytest.mark.parametrize("method", [shirg_v2, shirg_v3])
def test_gradients_match_finite_differences(method):
    """One feature at a time, central differences in float64, with the indices and the summary's weights held fixed."""
    x, inputs = example()
    x.requires_grad_()
    selection = method(BUDGET)(x, LAYOUT, **inputs)
    weigh = probe(selection.tokens.shape)
    (selection.tokens * weigh).sum().backward()

    valid = torch.tensor(oracle.valid_tokens(LAYOUT))
    shares = torch.zeros(2, LAYOUT.n_tokens, dtype=torch.float64)
    for b in range(2):
        dropped = oracle.dropped_tokens(selection.indices[b].tolist(), LAYOUT)
        raw = torch.ones(LAYOUT.n_tokens, dtype=torch.float64)
        if method is shirg_v3:
            clean = x[b].detach().masked_fill(~valid[:, None], 0)
            raw = torch.from_numpy(oracle.attention_received(clean.numpy(), LAYOUT, 0.1))
        shares[b, dropped] = raw[dropped] / raw[dropped].sum()

    def loss(features):
        rows = [features[b, selection.indices[b]] for b in range(2)]
        summary = torch.stack([shares[b] @ features[b] for b in range(2)])[:, None]
        return (torch.cat([torch.stack(rows), summary], dim=1) * weigh).sum()

    numeric, step = torch.zeros_like(x), 1e-4
    flat = x.detach()
    for at in torch.cartesian_prod(*(torch.arange(s) for s in x.shape)).tolist():
        up, down = flat.clone(), flat.clone()
        up[tuple(at)] += step
        down[tuple(at)] -= step
        numeric[tuple(at)] = (loss(up) - loss(down)) / (2 * step)
    # The summary is accumulated in float32, whatever the features are.
    assert_close(x.grad, numeric, rtol=1e-5, atol=1e-6)
    assert (x.grad[:, ~valid] == 0).all()


def test_gather_passes_gradcheck():
    x = make_features("normal", 2, 6, 3, 1).double().requires_grad_()
    indices = torch.tensor([[0, 2, 5], [1, 2, 3]])
    assert torch.autograd.gradcheck(lambda t: gather_tokens(t, indices), (x,))


@pytest.mark.parametrize("weighted", [False, True])
def test_summary_passes_gradcheck_at_float32_precision(weighted):
    layout = ViewLayout.single(2, 3)
    x = make_features("normal", 2, 6, 3, 1).double().requires_grad_()
    indices = torch.tensor([[0, 2], [1, 5]])
    weights = torch.rand(2, 6, generator=generator(2)) if weighted else None
    # A step of 2⁻⁴ survives the float32 accumulation; the map is linear, so a long step costs nothing.
    assert torch.autograd.gradcheck(lambda t: summarise(t, indices, layout, weights), (x,), eps=2**-4, atol=1e-4)


@pytest.mark.parametrize("method", [shirg_v2, shirg_v3])
def test_nothing_flows_through_scores_or_other_inputs(method):
    x, inputs = example(torch.float32)
    x.requires_grad_()
    inputs = {name: value.requires_grad_() for name, value in inputs.items()}
    attention = torch.rand(2, LAYOUT.n_tokens, generator=generator(7)).requires_grad_()
    selection = method(BUDGET)(x, LAYOUT, attention=attention, **inputs)
    assert not selection.scores.requires_grad
    assert not selection.indices.requires_grad
    assert not selection.regions.requires_grad
    assert selection.tokens.requires_grad
    selection.tokens.sum().backward()
    assert x.grad is not None
    assert attention.grad is None
    assert all(value.grad is None for value in inputs.values())


@pytest.mark.parametrize("method", [shirg_v2, shirg_v3])
def test_a_kept_token_gets_its_own_gradient_and_a_dropped_one_its_share(method):
    x, inputs = example(torch.float32)
    x.requires_grad_()
    selection = method(BUDGET)(x, LAYOUT, **inputs)
    selection.tokens[:, :BUDGET].sum().backward()
    assert torch.equal(x.grad[..., 0], selection.mask.float())
    x.grad = None
    method(BUDGET)(x, LAYOUT, **inputs).summary.sum().backward()
    assert_close(x.grad[..., 0].sum(1), torch.ones(2))
    assert (x.grad[selection.mask] == 0).all()


@pytest.mark.parametrize("method", [shirg_v2, shirg_v3])
def test_no_gradient_is_nan_when_padding_is(method):
    x, inputs = example(torch.float32)
    x = x.masked_fill(~LAYOUT.valid_mask()[:, None], torch.nan).requires_grad_()
    method(BUDGET)(x, LAYOUT, **inputs).tokens.square().sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("method", [shirg_v2, shirg_v3])
def test_gradients_in_every_dtype(method, dtype):
    x, inputs = example(dtype)
    x.requires_grad_()
    method(BUDGET)(x, LAYOUT, **inputs).tokens.sum().backward()
    assert x.grad.dtype == dtype
    assert x.grad.isfinite().all()
    assert (x.grad[:, LAYOUT.valid_mask()] != 0).any()


@pytest.mark.parametrize("method", [shirg_v2, shirg_v3])
def test_training_works_after_a_first_call_in_inference_mode(method):
    """Cached constants of a layout must not be inference tensors."""
    layout = ViewLayout(views=(View(3, 5, valid=[[True] * 4 + [False]] * 3), View(2, 2)))
    x = make_features("normal", 1, 19, 4, 1)
    inputs = {"text": torch.randn(1, 2, 4, generator=generator(2)), "edges": torch.rand(1, 19, generator=generator(3))}
    with torch.inference_mode():
        first = method(6)(x, layout, **inputs)
    again = method(6)(x.requires_grad_(), layout, **inputs)
    again.tokens.sum().backward()
    assert torch.equal(again.indices, first.indices)
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("method", [shirg_v2, shirg_v3])
def test_torch_func_finds_the_same_gradient(method):
    x, inputs = example()

    def loss(features):
        tokens = method(BUDGET)(features, LAYOUT, **inputs).tokens
        return (tokens * probe(tokens.shape)).sum()

    leaf = x.clone().requires_grad_()
    loss(leaf).backward()
    assert_close(torch.func.grad(loss)(x), leaf.grad)
