"""SHIRG-v2 and SHIRG-v3 end to end: the contract on any layout, and both against the slow oracle."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.testing import assert_close

from shirg_core import Selection, Selector, View, ViewLayout, shirg_v2, shirg_v3
from shirg_core.coverage.grid_graph import grid_graph, neighbour_cosine

from . import oracle
from .strategies import DTYPES, SEEDS, generator, images, make_features

METHODS = [shirg_v2, shirg_v3]
COVERAGES = ["cells", "clusters", "none"]
GRID = 2.0**-16


def select(method, case, **knobs):
    return method(case.budget, **knobs)(case.features, case.layout, **case.inputs)


def check_contract(selection, case):
    """Everything a Selection promises whatever the scores are."""
    layout, k = case.layout, case.budget
    batch, n, width = case.features.shape
    indices = selection.indices
    assert indices.shape == (batch, k)
    assert indices.dtype == torch.int64
    assert (indices[:, 1:] > indices[:, :-1]).all(), "unique and ascending"
    assert selection.scores.shape == (batch, n)
    assert selection.scores.dtype == torch.float32
    assert selection.scores.isfinite().all()
    assert torch.equal(selection.scores / GRID, (selection.scores / GRID).round()), "on the 2⁻¹⁶ grid"
    assert selection.mask.dtype == torch.bool
    assert torch.equal(selection.mask.sum(1), torch.full((batch,), k))
    valid = torch.tensor(oracle.valid_tokens(layout))
    pinned = torch.tensor(oracle.pinned_tokens(layout))
    assert not selection.mask[:, ~valid].any(), "padding is never kept"
    assert selection.mask[:, pinned].all(), "pinned tokens are always kept"
    lowest = selection.scores[:, valid].amin(1, keepdim=True)
    assert torch.equal(selection.scores[:, ~valid], lowest.expand(-1, int((~valid).sum())))
    assert selection.regions.shape == (batch, n)
    assert selection.regions.dtype == torch.int64
    assert torch.equal(selection.regions >= 0, valid.expand(batch, -1))
    for regions, kept in zip(selection.regions, selection.mask, strict=True):
        everywhere = set(regions[valid].tolist())
        assert everywhere == set(range(len(everywhere))), "numbered from 0 without gaps"
        assert set(regions[kept].tolist()) == everywhere, "every region keeps at least one token"
        assert len(everywhere) <= k
    features = case.features.masked_fill(~valid[:, None], 0)
    kept = torch.stack([x[i] for x, i in zip(features, indices, strict=True)])
    assert selection.tokens.dtype == case.features.dtype
    assert torch.equal(selection.tokens[:, :k], kept)
    assert torch.equal(selection.gather(features), kept)
    if k == layout.n_selectable:
        assert selection.summary is None
        assert selection.tokens.shape == (batch, k, width)
    else:
        assert selection.summary.shape == (batch, 1, width)
        assert selection.summary.dtype == case.features.dtype
        assert selection.summary.isfinite().all()
        assert torch.equal(selection.tokens[:, k:], selection.summary)


@pytest.mark.parametrize("method", METHODS)
@given(case=images(), coverage=st.sampled_from(COVERAGES), share=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_contract_holds_on_any_layout(method, case, coverage, share):
    selection = select(method, case, coverage=coverage, coverage_share=share)
    assert isinstance(selection, Selection)
    check_contract(selection, case)


def oracle_parts(method, case, image):
    x = case.features[image].double().numpy()
    if method is shirg_v3:
        return oracle.v3_components(x, case.layout)
    inputs = {name: value[image].double().numpy() for name, value in case.inputs.items()}
    return oracle.v2_components(x, case.layout, **inputs)


@pytest.mark.parametrize("method", METHODS)
@given(case=images())
def test_scores_match_the_oracle(method, case):
    selection = select(method, case)
    for b, scores in enumerate(selection.scores.double()):
        parts = oracle_parts(method, case, b)
        tolerance = oracle.score_tolerance(parts, case.layout)
        assume(math.isfinite(tolerance))
        expected = torch.from_numpy(oracle.total_score(parts, case.layout))
        assert_close(scores, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("method", METHODS)
@given(case=images(), coverage=st.sampled_from(["cells", "clusters"]), share=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_regions_and_choice_match_the_oracle_given_scores_and_similarities(method, case, coverage, share):
    """Everything after the float32 scores is exact: regions as sets, and every index."""
    selection = select(method, case, coverage=coverage, coverage_share=share)
    layout, k = case.layout, case.budget
    graph = grid_graph(layout, torch.device("cpu"))
    position = {edge: i for i, edge in enumerate(zip(graph.lower.tolist(), graph.upper.tolist(), strict=True))}
    assert set(position) == set(oracle.neighbours(layout))
    order = [position[edge] for edge in oracle.neighbours(layout)]
    valid = torch.tensor(oracle.valid_tokens(layout))
    similarity = neighbour_cosine(case.features.masked_fill(~valid[:, None], 0), layout)
    for b, indices in enumerate(selection.indices.tolist()):
        if coverage == "cells":
            expected = oracle.cell_regions(layout, k, share)
        else:
            expected = oracle.cluster_regions(layout, k, share, similarity[b, order].tolist())
        assert oracle.renumbered(selection.regions[b]) == oracle.renumbered(expected)
        assert indices == oracle.choose(selection.scores[b].tolist(), expected, layout, k)


@pytest.mark.parametrize("method", METHODS)
@given(case=images(kinds=("normal",)), share=st.sampled_from([0.3, 0.5, 1.0]))
def test_end_to_end_differs_from_the_oracle_in_near_ties_only(method, case, share):
    selection = select(method, case, coverage_share=share)
    slow = oracle.shirg_v2 if method is shirg_v2 else oracle.shirg_v3
    for b in range(len(case.features)):
        inputs = {} if method is shirg_v3 else {n: v[b].double().numpy() for n, v in case.inputs.items()}
        expected = slow(case.features[b].double().numpy(), case.layout, case.budget, share=share, **inputs)
        assert oracle.renumbered(selection.regions[b]) == oracle.renumbered(expected.regions)
        tolerance = oracle.score_tolerance(oracle_parts(method, case, b), case.layout)
        assume(math.isfinite(tolerance))
        ours = set(selection.indices[b].tolist()) - set(expected.indices)
        theirs = set(expected.indices) - set(selection.indices[b].tolist())
        swapped = zip(sorted(expected.scores[list(ours)]), sorted(expected.scores[list(theirs)]), strict=True)
        assert all(abs(a - b) <= 2 * tolerance for a, b in swapped)
        if ours:
            continue
        assert (selection.summary is None) == (expected.summary is None)
        if expected.summary is not None:
            precision = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}[case.features.dtype]
            summary = torch.from_numpy(expected.summary)
            assert_close(selection.summary[b, 0].double(), summary, rtol=precision, atol=precision)


# Well-conditioned images of the documented shape, scaled down: here the indices have to be the oracle's, one by one.
EXACT_CASES = [
    pytest.param(ViewLayout.single(7, 9), 21, id="single-7x9-K21"),
    pytest.param(ViewLayout.single(12, 12), 48, id="single-12x12-K48"),
    pytest.param(ViewLayout.anyres(2, 2, 5), 40, id="anyres-2x2x5-K40"),
    pytest.param(ViewLayout.anyres(1, 3, 5), 33, id="anyres-1x3x5-K33"),
    pytest.param(ViewLayout(views=(View(3, 3, pinned=True), View(8, 6), View(5, 7))), 30, id="pinned-K30"),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("layout", "budget"), EXACT_CASES)
def test_indices_equal_the_oracles(method, layout, budget):
    slow = oracle.shirg_v2 if method is shirg_v2 else oracle.shirg_v3
    x = make_features("normal", 2, layout.n_tokens, 24, 7)
    text, edges = torch.randn(2, 3, 24, generator=generator(8)), torch.rand(2, layout.n_tokens, generator=generator(9))
    selection = method(budget)(x, layout, text=text, edges=edges)
    for b in range(2):
        inputs = {} if method is shirg_v3 else {"text": text[b].numpy(), "edges": edges[b].numpy()}
        expected = slow(x[b].numpy(), layout, budget, **inputs)
        assert selection.indices[b].tolist() == expected.indices
        assert_close(selection.scores[b].double(), torch.from_numpy(expected.scores), rtol=0, atol=2.0**-14)
        assert_close(selection.summary[b, 0].double(), torch.from_numpy(expected.summary), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@given(case=images(max_batch=1), seed=SEEDS, position=st.integers(0, 3), others=st.integers(1, 3))
def test_an_image_alone_or_in_any_batch_position_gives_the_same_choice(method, case, seed, position, others):
    alone = select(method, case)
    position = min(position, others)
    n, width = case.features.shape[1:]
    g = generator(seed)

    def batched(x):
        crowd = torch.rand(others + 1, *x.shape[1:], generator=g) > 0.5
        crowd = crowd | (torch.arange(x.shape[1]) == 0) if x.dtype == torch.bool else crowd.to(x.dtype) * 3
        crowd[position] = x[0]
        return crowd

    crowd = make_features("normal", others + 1, n, width, seed).to(case.features.dtype)
    crowd[position] = case.features[0]
    inputs = {name: batched(x) for name, x in case.inputs.items()}
    together = method(case.budget)(crowd, case.layout, **inputs)
    assert torch.equal(together.indices[position], alone.indices[0])
    assert torch.equal(together.regions[position], alone.regions[0])
    assert torch.equal(together.scores[position], alone.scores[0])


@pytest.mark.parametrize("method", METHODS)
@given(case=images(), value=st.sampled_from([math.nan, math.inf, -math.inf, 1e30]))
def test_whatever_padding_holds_reaches_nothing(method, case, value):
    padding = ~torch.tensor(oracle.valid_tokens(case.layout))
    clean = select(method, case)
    dirty_features = case.features.masked_fill(padding[:, None], value if case.features.dtype != torch.float16 else 6e4)
    dirty = method(case.budget)(
        dirty_features,
        case.layout,
        text=case.text.masked_fill(~case.text_mask[:, :, None], value if case.text.dtype != torch.float16 else 6e4),
        text_mask=case.text_mask,
        edges=case.edges.masked_fill(padding, value),
    )
    assert torch.equal(dirty.indices, clean.indices)
    assert torch.equal(dirty.scores, clean.scores)
    assert torch.equal(dirty.regions, clean.regions)
    assert torch.equal(dirty.tokens, clean.tokens)


@given(case=images(kinds=("normal",), dtypes=(torch.float32,), max_batch=1), seed=SEEDS)
def test_attention_of_padding_reaches_nothing(case, seed):
    padding = ~torch.tensor(oracle.valid_tokens(case.layout))
    received = torch.rand(1, case.layout.n_tokens, generator=generator(seed))
    clean = shirg_v3(case.budget)(case.features, case.layout, attention=received)
    dirty = shirg_v3(case.budget)(case.features, case.layout, attention=received.masked_fill(padding, math.nan))
    assert torch.equal(dirty.indices, clean.indices)
    assert torch.equal(dirty.tokens, clean.tokens)


@pytest.mark.parametrize("method", METHODS)
@given(case=images(kinds=("normal",), dtypes=(torch.float32,)), data=st.data(), power=st.integers(-12, 12))
def test_scaling_one_view_changes_nothing(method, case, data, power):
    """By a power of two, so that float32 loses nothing and the claim is exact."""
    view = data.draw(st.integers(0, len(case.layout.views) - 1))
    member = torch.tensor(oracle.token_views(case.layout)) == view
    scaled = torch.where(member[:, None], case.features * 2.0**power, case.features)
    before = select(method, case)
    after = method(case.budget)(scaled, case.layout, **case.inputs)
    assert_close(after.scores, before.scores, rtol=0, atol=0)
    assert torch.equal(after.indices, before.indices)


@pytest.mark.parametrize("method", METHODS)
def test_scaling_one_view_by_any_factor_keeps_its_rank_order(method):
    layout = ViewLayout.anyres(1, 2, 6)
    x = make_features("normal", 1, layout.n_tokens, 16, 3)
    text, edges = torch.randn(1, 2, 16, generator=generator(4)), torch.rand(1, layout.n_tokens, generator=generator(5))
    scaled = x.clone()
    scaled[:, 36:72] *= 37.3
    before = method(30)(x, layout, text=text, edges=edges).scores
    after = method(30)(scaled, layout, text=text, edges=edges).scores
    assert_close(after, before, rtol=0, atol=2 * GRID)
    # Tokens further apart than rounding can reach stay in order.
    gap = before[0, 36:72, None] - before[0, None, 36:72]
    assert ((after[0, 36:72, None] - after[0, None, 36:72])[gap > 4 * GRID] > 0).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_identical_tokens_keep_the_lowest_indices(method, dtype):
    """All components constant: one cell per region keeps its first token, then the lowest indices fill up."""
    layout = ViewLayout.single(6, 6)
    x = make_features("constant", 2, 36, 17, 1).to(dtype)
    inputs = {"text": torch.randn(2, 3, 17, generator=generator(2)).to(dtype), "edges": torch.full((2, 36), 0.7)}
    uncovered = method(10, coverage="none")(x, layout, **inputs)
    assert (uncovered.scores == 0).all()
    assert uncovered.indices.tolist() == [list(range(10))] * 2
    covered = method(10, coverage="cells")(x, layout, **inputs)
    # ⌊0.5 · 10⌋ = 5 ≥ ⌈6/s⌉² needs s = 3: four cells, whose first tokens are 0, 3, 18 and 21.
    assert covered.indices.tolist() == [[0, 1, 2, 3, 4, 5, 6, 7, 18, 21]] * 2


@pytest.mark.parametrize("method", METHODS)
@given(seed=SEEDS, h=st.integers(2, 10), w=st.integers(2, 10), width=st.sampled_from([3, 7, 16, 33]))
def test_duplicated_tokens_rank_by_index(method, seed, h, w, width):
    """Position-free components only: a copy of a token scores exactly the same, so the earlier one ranks first."""
    layout, n = ViewLayout.single(h, w), h * w
    g = generator(seed)
    base = torch.randn(1, 4, width, generator=g) + 2 * torch.randn(1, 1, width, generator=g)
    which = torch.randint(4, (n,), generator=g)
    knobs = {"beta": 0.0} if method is shirg_v2 else {"gradient_weight": 0.0}
    text = torch.randn(1, 5, width, generator=g)
    scores = method(1, coverage="none", **knobs)(base[:, which], layout, text=text).scores[0]
    for token in range(4):
        assert len(set(scores[which == token].tolist())) <= 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_features_far_from_unit_scale(method, scale):
    layout = ViewLayout.single(5, 5)
    x = make_features("normal", 1, 25, 8, 2)
    inputs = {"text": torch.randn(1, 2, 8, generator=generator(3)), "edges": torch.rand(1, 25, generator=generator(4))}
    assert torch.equal(
        method(9)(x * scale, layout, **inputs).indices,
        method(9)(x, layout, **inputs).indices,
    )


def test_a_given_attention_replaces_the_computed_one_and_weighs_the_summary():
    layout = ViewLayout.single(1, 4)
    x = torch.tensor([[[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0], [0.0, -3.0]]])
    received = torch.tensor([[0.1, 0.4, 0.2, 0.3]])
    selection = shirg_v3(2, magnitude_weight=0, gradient_weight=0, coverage="none")(x, layout, attention=received)
    assert selection.indices.tolist() == [[1, 3]]
    expected = torch.tensor([0.0, 0.6, 0.2, 0.4]) / GRID
    assert torch.equal(selection.scores[0], expected.round() * GRID)
    # Dropped: tokens 0 and 2 with raw weights 0.1 and 0.2.
    assert_close(selection.summary, torch.tensor([[[(0.1 * 3 - 0.2 * 3) / 0.3, 0.0]]]))


def test_v2_without_text_on_purpose():
    layout = ViewLayout.single(2, 3)
    x = make_features("normal", 1, 6, 8, 5)
    edges = torch.rand(1, 6, generator=generator(6))
    without = shirg_v2(3, text_weight=0)(x, layout, edges=edges)
    parts = [p for i, p in enumerate(oracle.v2_components(x[0], layout, alpha=1, edges=edges[0].numpy()))]
    parts[0] = (0.25, *parts[0][1:])
    assert_close(without.scores[0].double(), torch.from_numpy(oracle.total_score(parts, layout)), rtol=0, atol=2**-14)
    alpha_one = shirg_v2(3, alpha=1.0, beta=0.0)(x, layout)
    expected = oracle.v2_score(x[0], layout, alpha=1, beta=0)
    assert_close(alpha_one.scores[0].double(), torch.from_numpy(expected), rtol=0, atol=2.0**-14)


def test_defaults_are_the_published_ones():
    v2, v3 = shirg_v2(budget=4), shirg_v3(budget=4)
    assert (v2.alpha, v2.beta, v2.coverage, v2.coverage_share, v2.summary) == (0.25, 0.15, "clusters", 0.5, "mean")
    assert (v3.attention_weight, v3.magnitude_weight, v3.gradient_weight) == (0.6, 0.25, 0.15)
    assert (v3.temperature, v3.coverage, v3.coverage_share, v3.summary) == (0.1, "cells", 0.5, "attention")
    assert isinstance(v2, Selector)
    assert isinstance(v3, Selector)


@pytest.mark.parametrize("method", METHODS)
def test_presets_are_frozen(method):
    with pytest.raises(AttributeError):
        method(4).budget = 5


@pytest.mark.parametrize("method", METHODS)
def test_a_call_leaves_its_inputs_alone(method):
    layout = ViewLayout(views=(View(3, 3, valid=[[True] * 3, [True] * 3, [False] * 3]), View(2, 2)))
    inputs = {
        "features": make_features("normal", 2, 13, 8, 1),
        "text": torch.randn(2, 3, 8, generator=generator(2)),
        "edges": torch.rand(2, 13, generator=generator(3)),
        "attention": torch.rand(2, 13, generator=generator(4)),
    }
    before = {name: x.clone() for name, x in inputs.items()}
    method(5)(inputs.pop("features"), layout, **inputs)
    assert all(torch.equal(x, before[name]) for name, x in inputs.items())


@pytest.mark.parametrize("method", METHODS)
def test_non_contiguous_features_give_the_same_choice(method):
    layout = ViewLayout.single(5, 7)
    x = make_features("normal", 2, 35, 8, 1)
    inputs = {"text": torch.randn(2, 3, 8, generator=generator(2)), "edges": torch.rand(2, 35, generator=generator(3))}
    strided = x.transpose(1, 2).contiguous().transpose(1, 2)
    assert not strided.is_contiguous()
    assert torch.equal(method(9)(strided, layout, **inputs).indices, method(9)(x, layout, **inputs).indices)


@pytest.mark.parametrize("coverage", ["cells", "clusters", "none"])
def test_what_is_returned_is_the_callers(coverage):
    layout, x = ViewLayout.single(4, 4), torch.randn(1, 16, 8, generator=generator(0))
    first = shirg_v3(8, coverage=coverage)(x, layout)
    before = first.regions.clone(), first.indices.clone()
    for tensor in (first.regions, first.scores, first.indices):
        tensor.fill_(0)
    again = shirg_v3(8, coverage=coverage)(x, layout)
    assert torch.equal(again.regions, before[0])
    assert torch.equal(again.indices, before[1])


def test_gather_applies_the_choice_to_any_tensor():
    layout = ViewLayout.single(3, 3)
    selection = shirg_v3(4)(make_features("normal", 2, 9, 4, 1), layout)
    boxes = layout.boxes().expand(2, -1, -1)
    assert torch.equal(selection.gather(boxes)[1], layout.boxes()[selection.indices[1]])
    assert torch.equal(selection.gather(layout.boxes()[None]), selection.gather(boxes))
    ids = torch.arange(9).expand(2, -1)
    assert torch.equal(selection.gather(ids), selection.indices)
    with pytest.raises(ValueError, match=r"\[2, 9\].*\[2, 8, 3\]"):
        selection.gather(torch.zeros(2, 8, 3))


@pytest.mark.parametrize(("method", "knobs"), [(shirg_v2, {"text_weight": 0, "beta": 0}), (shirg_v3, {})])
def test_a_fractional_budget_counts_selectable_tokens(method, knobs):
    valid = torch.ones(4, 5, dtype=torch.bool)
    valid[:, 3:] = False
    layout = ViewLayout(views=(View(4, 5, valid=valid), View(2, 2)))
    selection = method(0.3, **knobs)(make_features("normal", 1, 24, 4, 1), layout)
    assert selection.indices.shape[1] == round(0.3 * 16)


def test_a_selection_compares_by_identity():
    layout = ViewLayout.single(3, 3)
    selection = shirg_v3(2)(torch.randn(1, 9, 4), layout)
    again = shirg_v3(2)(torch.randn(1, 9, 4), layout)
    assert selection == selection
    assert selection != again
