"""Chunked cross-entropy gives the loss and the gradients of whole logits, and holds a chunk of them."""

import pytest
import torch
from torch.nn import functional as F

from shirg_train.cross_entropy import linear_cross_entropy

N, WIDTH, VOCABULARY = 23, 16, 77


def given(dtype):
    draws = torch.Generator().manual_seed(0)
    hidden = torch.randn(N, WIDTH, generator=draws).to(dtype)
    weight = torch.randn(VOCABULARY, WIDTH, generator=draws).to(dtype)
    return hidden, weight, torch.randint(0, VOCABULARY, (N,), generator=draws), torch.rand(N, generator=draws)


def whole(hidden, weight, targets, weights):
    return (weights * F.cross_entropy(F.linear(hidden, weight).float(), targets, reduction="none")).sum()


def gradients(loss, hidden, weight, *rest):
    leaves = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    total = loss(*leaves, *rest)
    (3 * total).backward()
    return total.detach(), *(leaf.grad for leaf in leaves)


@pytest.mark.parametrize("rows", [1, 5, 23, 1000], ids="rows-{}".format)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_equals_whole_logits(rows, dtype):
    def chunked(*arguments):
        return linear_cross_entropy(*arguments, chunk_logits=rows * VOCABULARY)

    exact = gradients(whole, *(x.double() if x.is_floating_point() else x for x in given(dtype)))
    plain = gradients(whole, *given(dtype))
    for ours, theirs, truth in zip(gradients(chunked, *given(dtype)), plain, exact, strict=True):
        assert ours.dtype == theirs.dtype
        # A chunk rounds no worse than all at once, but for one last bit where half precision scales after rounding.
        slack = 1e-6 if dtype == torch.float32 else 2**-8
        error, allowed = ((x.double() - truth).abs().max() for x in (ours, theirs))
        assert error <= allowed + slack * truth.abs().max()


def test_a_frozen_head_gets_no_gradient_and_no_product(monkeypatch):
    hidden, weight, targets, weights = given(torch.float32)
    leaf = hidden.clone().requires_grad_()
    linear_cross_entropy(leaf, weight, targets, weights).backward()
    assert weight.grad is None
    assert leaf.grad.abs().sum() > 0
    # Without gradients the logits are all that is computed.
    products = []
    real = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: products.append(a.shape) or real(a, b))
    with torch.no_grad():
        linear_cross_entropy(leaf, weight, targets, weights)
    assert products == []
    linear_cross_entropy(leaf, weight, targets, weights)
    assert products == [(N, VOCABULARY)]


def test_never_holds_more_than_a_chunk_of_logits():
    draws = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(512, 8, generator=draws, requires_grad=True), torch.randn(4096, 8, generator=draws)
    targets, weights = torch.zeros(512, dtype=torch.int64), torch.ones(512)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest = max(largest, out.numel())
            return out

    with Watch():
        linear_cross_entropy(hidden, weight, targets, weights, chunk_logits=16 * 4096)
    assert largest == 16 * 4096
