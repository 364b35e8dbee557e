"""The summary: the mean, or the attention-weighted mean, of the tokens that were dropped."""

import pytest
import torch
from hypothesis import given
from torch.testing import assert_close

from shirg_core import View, ViewLayout, shirg_v2, shirg_v3
from shirg_core.selection.summary import summarise

from . import oracle
from .strategies import DTYPES, images

X = torch.tensor([[[1.0, 0.0], [3.0, 6.0], [100.0, 100.0], [5.0, 0.0]]])
KEPT = torch.tensor([[2]])


def test_mean_by_hand():
    assert summarise(X, KEPT, ViewLayout.single(2, 2)).tolist() == [[[3.0, 2.0]]]


def test_weights_by_hand():
    weights = torch.tensor([[1.0, 2.0, 50.0, 1.0]])
    assert summarise(X, KEPT, ViewLayout.single(2, 2), weights).tolist() == [[[3.0, 3.0]]]


def test_padding_is_neither_kept_nor_dropped():
    layout = ViewLayout(views=(View(2, 2, valid=[[True, True], [True, False]]),))
    assert summarise(X, KEPT, layout).tolist() == [[[2.0, 3.0]]]
    assert summarise(X, KEPT, layout, torch.tensor([[1.0, 3.0, 9.0, 9.0]])).tolist() == [[[2.5, 4.5]]]


def test_nothing_dropped_is_none():
    assert summarise(X, torch.arange(4)[None], ViewLayout.single(2, 2)) is None
    layout = ViewLayout(views=(View(2, 2, valid=[[True, True], [True, False]]),))
    assert summarise(X, torch.arange(3)[None], layout) is None


def test_weights_of_zero_mean_the_mean():
    assert summarise(X, KEPT, ViewLayout.single(2, 2), torch.zeros(1, 4)).tolist() == [[[3.0, 2.0]]]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtype_is_kept_and_sums_are_float32(dtype):
    """2048 ones: a sum in bfloat16 would stop at 256, one in float16 at 2048."""
    x = torch.ones(1, 4097, 2, dtype=dtype)
    summary = summarise(x, KEPT, ViewLayout.single(1, 4097))
    assert summary.dtype == dtype
    assert summary.tolist() == [[[1.0, 1.0]]]


@pytest.mark.parametrize("method", [shirg_v2, shirg_v3])
def test_none_is_omitted_on_request(method):
    knobs = {"text_weight": 0, "beta": 0} if method is shirg_v2 else {}
    selection = method(2, summary="none", **knobs)(X, ViewLayout.single(2, 2))
    assert selection.summary is None
    assert selection.tokens.shape == (1, 2, 2)


@given(case=images(dtypes=(torch.float32,)))
def test_both_kinds_match_the_oracle(case):
    layout = case.layout
    x = case.features.masked_fill(~torch.tensor(oracle.valid_tokens(layout))[:, None], 0)
    selections = {
        "mean": shirg_v3(case.budget, summary="mean")(x, layout),
        "attention": shirg_v3(case.budget)(x, layout),
        "given": shirg_v3(case.budget)(x, layout, attention=case.edges),
        "v2": shirg_v2(case.budget, summary="attention")(x, layout, **case.inputs, attention=case.edges),
    }
    for kind, selection in selections.items():
        for b, tokens in enumerate(x.double()):
            dropped = oracle.dropped_tokens(selection.indices[b].tolist(), layout)
            if not dropped:
                assert selection.summary is None
                continue
            weights = torch.ones(layout.n_tokens, dtype=torch.float64)
            if kind == "attention":
                weights = torch.from_numpy(oracle.attention_received(tokens.numpy(), layout, 0.1))
            elif kind in ("given", "v2"):
                weights = case.edges[b].double()
            expected = weights[dropped] @ tokens[dropped] / weights[dropped].sum()
            assert_close(selection.summary[b, 0].double(), expected, rtol=1e-4, atol=1e-5)
