"""Every score against values worked out by hand, then against float64 on any layout."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from shirg_core import View, ViewLayout, shirg_v3
from shirg_core.scores import (
    attention_deviation,
    attention_received,
    channel_variance,
    combine,
    feature_magnitude,
    minmax,
    snap,
    spatial_gradient,
    text_relevance,
)
from shirg_core.scores.exponentials import PANEL

from . import oracle
from .strategies import images, make_features

GRID = 2.0**-16


def clean(case):
    """Features with padding zeroed, as the presets hand them to the scores."""
    return case.features.masked_fill(~torch.tensor(oracle.valid_tokens(case.layout))[:, None], 0)


# --- by hand -------------------------------------------------------------------------------------------------------


def test_variance_is_the_population_variance_over_channels():
    x = torch.tensor([[[1.0, 3.0], [2.0, 2.0], [-4.0, 4.0]], [[0.0, 1.0], [1e4, 1e4 + 2], [5.0, 5.0]]])
    assert_close(channel_variance(x), torch.tensor([[1.0, 0.0, 16.0], [0.25, 1.0, 0.0]]))


def test_magnitude_is_the_l2_norm():
    x = torch.tensor([[[3.0, 4.0], [0.0, 0.0], [-5.0, 12.0]]])
    assert feature_magnitude(x).tolist() == [[5.0, 0.0, 13.0]]


def test_relevance_is_the_best_cosine():
    x = torch.tensor([[[2.0, 0.0], [0.0, 5.0], [3.0, 4.0], [-1.0, 0.0], [0.0, 0.0]]])
    text = torch.tensor([[[7.0, 0.0], [0.0, 0.1]]])
    assert_close(text_relevance(x, text), torch.tensor([[1.0, 1.0, 0.8, 0.0, 0.0]]))
    only_first = torch.tensor([[True, False]])
    assert_close(text_relevance(x, text, only_first), torch.tensor([[1.0, 0.0, 0.6, -1.0, 0.0]]))


def test_attention_received_by_hand():
    """Tokens a, a, b with a ⊥ b and τ = 1: a row of weights is (e, e, 1) or (1, 1, e), normalised."""
    x = torch.tensor([[[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]]])
    e = math.e
    a = (2 * e / (2 * e + 1) + 1 / (2 + e)) / 3
    b = (2 / (2 * e + 1) + e / (2 + e)) / 3
    assert_close(attention_received(x, ViewLayout.single(1, 3), temperature=1.0), torch.tensor([[a, a, b]]))


def test_attention_spans_views_and_skips_padding():
    layout = ViewLayout(views=(View(1, 2, valid=[[True, False]]), View(1, 2)))
    x = torch.tensor([[[2.0, 0.0], [9.0, 9.0], [1.0, 0.0], [0.0, 3.0]]])
    without = attention_received(x[:, [0, 2, 3]], ViewLayout.single(1, 3))
    received = attention_received(x, layout)
    assert received[0, 1] == 0
    assert_close(received[:, [0, 2, 3]], without)


def test_attention_is_the_same_whatever_the_blocks():
    """More tokens than one panel holds, and not whole blocks of rows."""
    n = 4 * PANEL + 37
    layout = ViewLayout.single(1, n)
    x = make_features("normal", 1, n, 6, 4)
    unit = torch.nn.functional.normalize(x[0].double(), dim=-1)
    expected = torch.softmax(unit @ unit.T / 0.1, dim=1).mean(0)
    assert_close(attention_received(x, layout)[0].double(), expected, rtol=1e-5, atol=0)


def test_gradient_by_hand():
    """f = 3·row² + column on 4 × 3, one channel: central inside, one-sided at the border."""
    row, col = torch.meshgrid(torch.arange(4.0), torch.arange(3.0), indexing="ij")
    x = (3 * row.square() + col).reshape(1, 12, 1)
    by_row = torch.tensor([3.0, 6.0, 12.0, 15.0])[:, None].expand(4, 3)
    expected = torch.sqrt(by_row.square() + 1).reshape(1, 12)
    assert_close(spatial_gradient(x, ViewLayout.single(4, 3)), expected)


def test_gradient_adds_up_channels_and_never_crosses_views():
    layout = ViewLayout(views=(View(1, 2), View(1, 2), View(1, 1)))
    x = torch.tensor([[[0.0, 0.0], [3.0, 4.0], [100.0, 0.0], [100.0, 2.0], [7.0, 7.0]]])
    assert spatial_gradient(x, layout).tolist() == [[5.0, 5.0, 2.0, 2.0, 0.0]]


def test_gradient_is_one_sided_at_padding():
    valid = [[True, True, False, True]]
    x = torch.tensor([[[0.0], [3.0], [50.0], [9.0]]])
    gradient = spatial_gradient(
        x.masked_fill(~torch.tensor(valid)[..., None], 0), ViewLayout((View(1, 4, valid=valid),))
    )
    assert gradient.tolist() == [[3.0, 3.0, 0.0, 0.0]]


def test_minmax_per_view_and_per_image():
    layout = ViewLayout(views=(View(1, 3), View(1, 2)))
    x = torch.tensor([[0.0, 5.0, 10.0, 20.0, 30.0]])
    assert minmax(x, layout, "view").tolist() == [[0.0, 0.5, 1.0, 0.0, 1.0]]
    assert_close(minmax(x, layout, "image"), torch.tensor([[0.0, 1 / 6, 1 / 3, 2 / 3, 1.0]]))


def test_minmax_ignores_padding():
    layout = ViewLayout(views=(View(1, 4, valid=[[True, False, True, True]]),))
    for per in ("view", "image"):
        x = torch.tensor([[1.0, math.nan, 2.0, 3.0]])
        assert minmax(x, layout, per).tolist() == [[0.0, 0.0, 0.5, 1.0]]


def test_minmax_of_a_view_of_padding_only():
    layout = ViewLayout(views=(View(1, 2, valid=[[False, False]]), View(1, 2)))
    x = torch.tensor([[math.inf, math.nan, 1.0, 2.0]])
    assert minmax(x, layout, "view").tolist() == [[0.0, 0.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0, 5.0, 5.0], [0.0, 0.0, 0.0]),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ([1.0, 1.0 + 0.9e-5, 1.0], [0.0, 0.0, 0.0]),  # range below 1e-5 · max|x|: constant
        ([1.0, 1.0 + 1.2e-5, 1.0], [0.0, 1.0, 0.0]),  # above it
        ([-1.0, -1.0 + 0.9e-5, -1.0], [0.0, 0.0, 0.0]),  # the limit is on |x|
        ([-1.0, -1.0 + 1.2e-5, -1.0], [0.0, 1.0, 0.0]),
        ([1e-20, 2e-20, 3e-20], [0.0, 0.5, 1.0]),  # relative, so small scales count
    ],
)
@pytest.mark.parametrize("per", ["view", "image"])
def test_the_constant_rule(values, expected, per):
    assert_close(minmax(torch.tensor([values]), ViewLayout.single(1, 3), per), torch.tensor([expected]))


def test_snap_rounds_to_the_grid():
    scores = torch.tensor([[0.0, 0.4 * GRID, 0.6 * GRID, 1.0, 0.3]])
    assert snap(scores, ViewLayout.single(1, 5)).tolist() == [[0.0, 0.0, GRID, 1.0, 19661 * GRID]]


def test_snap_gives_padding_the_minimum():
    layout = ViewLayout(views=(View(1, 3, valid=[[True, False, True]]),))
    assert snap(torch.tensor([[0.5, math.nan, 0.25]]), layout).tolist() == [[0.5, 0.25, 0.25]]


def test_combine_is_the_weighted_sum():
    layout, x = ViewLayout.single(1, 2), torch.zeros(1, 2, 3)
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 1.0]])
    assert combine([(0.5, a), (0.25, b)], x, layout).tolist() == [[0.625, 0.25]]
    assert combine([], x, layout).tolist() == [[0.0, 0.0]]


# --- against float64 -----------------------------------------------------------------------------------------------


@given(case=images())
def test_variance_and_magnitude_match_float64(case):
    x = clean(case)
    for ours, slow in ((channel_variance, oracle.variance), (feature_magnitude, oracle.magnitude)):
        result = ours(x)
        assert result.dtype == torch.float32
        for b in range(len(x)):
            expected = torch.from_numpy(slow(x[b].double().numpy()))
            assert_close(result[b].double(), expected, rtol=1e-5, atol=1e-6)


@given(case=images())
def test_relevance_matches_float64(case):
    x = clean(case)
    result = text_relevance(x, case.text, case.text_mask)
    assert result.dtype == torch.float32
    for b in range(len(x)):
        text, mask = case.text[b].double().numpy(), case.text_mask[b].tolist()
        expected = torch.from_numpy(oracle.relevance(x[b].double().numpy(), text, mask))
        assert_close(result[b].double(), expected, rtol=0, atol=2e-6)


@given(case=images(), temperature=st.sampled_from([0.05, 0.1, 1.0]))
def test_attention_matches_float64(case, temperature):
    x = clean(case)
    result = attention_received(x, case.layout, temperature=temperature)
    assert result.dtype == torch.float32
    assert_close(result.sum(1), torch.ones(len(x)))
    for b in range(len(x)):
        expected = torch.from_numpy(oracle.attention_received(x[b].double().numpy(), case.layout, temperature))
        assert_close(result[b].double(), expected, rtol=2e-5, atol=1e-9)


@pytest.mark.parametrize(
    "kind", ["channel+100", "channel+300", "channel+3000", "channels+1000", "direction+2000", "blank+80"]
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bf16", "fp32"])
def test_attention_is_precise_where_tokens_share_a_direction_or_most_are_copies(kind, dtype):
    """Two views with padding: a hole in the first, and NaN in it; the oracle's own min–max of float64 A."""
    hole = torch.ones(9, 11, dtype=torch.bool)
    hole[3:5, 2:9] = False
    layout = ViewLayout(views=(View(9, 11, valid=hole), View(6, 7)))
    valid = layout.valid_mask()
    x = make_features(kind, 2, layout.n_tokens, 256, 5).to(dtype)
    exact = [attention_of(x[b, valid].double()) for b in range(2)]
    x[:, ~valid] = torch.nan
    chosen = attention_alone(40)(x, layout)
    for b in range(2):
        error = (chosen.scores[b, valid].double() - exact[b]).abs().max()
        assert error <= 2.0**-14, f"{error:.1e}"


def attention_alone(k):
    parts = {"attention_weight": 1.0, "magnitude_weight": 0.0, "gradient_weight": 0.0}
    return shirg_v3(k, coverage="none", summary="none", **parts)


def attention_of(x):
    """Min–max normalised A of `[n, D]` float64."""
    unit = torch.nn.functional.normalize(x, dim=-1)
    received = torch.softmax(unit @ unit.T / 0.1, dim=1).mean(0)
    return (received - received.min()) / (received.max() - received.min())


@pytest.mark.parametrize("offset", [0, 300, 3000])
def test_no_token_is_chosen_wrongly_at_a_towers_size(offset):
    x = make_features(f"channel+{offset}", 1, 576, 1152, 3).bfloat16()
    exact = attention_of(x[0].double())
    chosen = attention_alone(192)(x, ViewLayout.single(24, 24))
    assert set(chosen.indices[0].tolist()) == set(exact.topk(192).indices.tolist())
    assert (chosen.scores[0].double() - exact).abs().max() <= 2.0**-14


@pytest.mark.parametrize("kind", ["channel+3000", "direction+300"])
def test_copies_of_a_token_tie_where_all_share_a_direction_and_the_batch_does_not_matter(kind):
    n = 2 * PANEL + 45
    x = make_features(kind, 3, n, 70, 6)
    x[:, n - 1], x[:, 200] = x[:, 3], x[:, 4]
    together = attention_deviation(x, ViewLayout.single(1, n))
    assert torch.equal(together[:, [n - 1, 200]], together[:, [3, 4]])
    alone = attention_deviation(x[1:2], ViewLayout.single(1, n))
    assert torch.equal(alone[0], together[1])


def test_zero_vectors_among_tokens_that_share_a_direction():
    """They look at all alike and get least: e^(−1/τ) beside the others' nearly equal weights."""
    x = make_features("channel+3000", 1, 60, 64, 7)
    x[0, [0, 17, 59]] = 0.0
    scores = attention_alone(9)(x, ViewLayout.single(6, 10)).scores[0].double()
    assert (scores - attention_of(x[0].double())).abs().max() <= 2.0**-14
    assert attention_deviation(torch.zeros(1, 5, 3), ViewLayout.single(1, 5)).tolist() == [[0.0] * 5]


@given(case=images())
def test_gradient_matches_float64(case):
    x = clean(case)
    result = spatial_gradient(x, case.layout)
    assert result.dtype == torch.float32
    for b in range(len(x)):
        expected = torch.from_numpy(oracle.gradient(x[b].double().numpy(), case.layout))
        assert_close(result[b].double(), expected, rtol=1e-5, atol=1e-5)


@given(case=images(), per=st.sampled_from(["view", "image"]))
def test_minmax_matches_float64(case, per):
    groups = oracle.token_views(case.layout) if per == "view" else [0] * case.layout.n_tokens
    valid = oracle.valid_tokens(case.layout)
    result = minmax(case.edges, case.layout, per)
    for b, edges in enumerate(case.edges.double().numpy()):
        assert_close(result[b].double(), torch.from_numpy(oracle.normalise(edges, groups, valid)), rtol=0, atol=1e-5)
