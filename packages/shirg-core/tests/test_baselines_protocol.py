"""What every baseline promises, on random layouts: the `Selector` contract."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shirg_core import Selector, ShirgV2, ShirgV3, ShirgV4, View, ViewLayout
from shirg_core.methods import METHODS, get_selector

PRESETS = (ShirgV2, ShirgV3, ShirgV4)
NAMES = sorted(name for name, method in METHODS.items() if method.selector_type not in (None, *PRESETS))
EXACT = [name for name in NAMES if METHODS[name].takes_budget]
MERGING = [name for name in NAMES if METHODS[name].merges]
TIED = ["divprune", "saint", "cdpruner", "dedup-max", "dedup-mean"]
TIED += [f"top-{score}" for score in ("variance", "magnitude", "gradient", "attention", "edge")]


@st.composite
def views(draw, most=24):
    h = draw(st.integers(1, 6))
    w = draw(st.integers(1, max(1, most // h)))
    valid = None
    if draw(st.booleans()):
        rows, cols = draw(st.integers(1, h)), draw(st.integers(1, w))
        hole = draw(st.integers(0, h * w - 1))
        valid = [
            [r < rows and c < cols and (r * w + c != hole or rows * cols == 1) for c in range(w)] for r in range(h)
        ]
    return View(h, w, pinned=draw(st.integers(0, 5)) == 0, valid=valid)


@st.composite
def layouts(draw):
    layout_views = draw(st.lists(views(most=16), min_size=1, max_size=4))
    if not any(v.n_selectable for v in layout_views):
        layout_views.append(View(2, 2))
    return ViewLayout(views=layout_views)


@st.composite
def cases(draw):
    layout = draw(layouts())
    # Merging needs room for one token outside pinned views.
    low = max(1, min(layout.n_pinned + 1, layout.n_selectable))
    k = draw(st.integers(low, layout.n_selectable))
    return layout, k, draw(st.integers(0, 2**16))


def inputs_for(layout, seed, batch=2, width=6):
    generator = torch.Generator().manual_seed(seed)
    n = layout.n_tokens
    features = torch.randn(batch, n, width, generator=generator)
    features[:, ~layout.valid_mask()] = torch.nan
    return features, {
        "text": torch.randn(batch, 3, width, generator=generator),
        "edges": torch.rand(batch, n, generator=generator),
    }


def room(name, layout, k):
    """K, or what `name` needs at least: a quadtree has a block in every view."""
    if name != "quadtree":
        return k
    return max(k, layout.n_pinned + sum(not view.pinned and view.n_selectable > 0 for view in layout.views))


def build(name, k):
    return get_selector(name, **METHODS[name].accepted(budget=k))


def slice_of(inputs, i):
    return {key: x[i : i + 1] for key, x in inputs.items()}


def check_selection(selection, features, layout):
    batch, n, width = features.shape
    k = selection.indices.shape[1]
    valid = layout.valid_mask()
    assert selection.indices.dtype == torch.int64
    assert bool((selection.indices.diff(dim=1) > 0).all())
    assert bool(valid[selection.indices].all())
    assert bool(selection.mask[:, layout.pinned_mask()].all())
    assert selection.kept.shape == (batch, k, width)
    assert selection.kept.dtype == features.dtype
    assert bool(selection.kept.isfinite().all())
    assert selection.scores.dtype == torch.float32
    assert bool(selection.scores.isfinite().all())
    assert torch.equal(selection.regions < 0, (~valid).expand(batch, n))
    padding_scores = selection.scores[:, ~valid]
    assert bool((padding_scores == selection.scores[:, valid].amin(1, keepdim=True)).all())
    pinned = features[:, layout.pinned_mask()]
    # Mask of the kept tokens that are pinned, image by image: positions differ.
    at = layout.pinned_mask()[selection.indices]
    assert torch.equal(selection.kept[at], pinned.flatten(0, 1))


@pytest.mark.parametrize("name", EXACT)
@given(cases())
@settings(max_examples=25, deadline=None)
def test_exact_budget_and_contract(name, case):
    layout, k, seed = case
    features, inputs = inputs_for(layout, seed)
    k = room(name, layout, k)
    selector = build(name, k)
    selection = selector(features, layout, **inputs)
    assert selection.indices.shape == (2, k)
    check_selection(selection, features, layout)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(EXACT)))
@given(cases())
@settings(max_examples=25, deadline=None)
def test_own_count_and_contract(name, case):
    layout, _, seed = case
    features, inputs = inputs_for(layout, seed, batch=1)
    selector = build(name, None)
    selection = selector(features, layout, **inputs)
    check_selection(selection, features, layout)


@pytest.mark.parametrize("name", NAMES)
@given(cases())
@settings(max_examples=10, deadline=None)
def test_an_image_gets_the_same_tokens_alone_and_in_any_batch_position(name, case):
    layout, k, seed = case
    k = room(name, layout, k)
    features, inputs = inputs_for(layout, seed, batch=3)
    if name == "scissor":
        features = features[:1].repeat(3, 1, 1)
    together = build(name, k)(features, layout, **inputs)
    order = [2, 0, 1]
    shuffled = build(name, k)(features[order], layout, **{key: x[order] for key, x in inputs.items()})
    assert torch.equal(shuffled.indices, together.indices[order])
    assert torch.equal(shuffled.kept, together.kept[order])
    for i in range(3):
        alone = build(name, k)(features[i : i + 1], layout, **slice_of(inputs, i))
        assert torch.equal(alone.indices[0], together.indices[i])
        assert torch.equal(alone.kept[0], together.kept[i])


@pytest.mark.parametrize("name", MERGING)
@given(cases())
@settings(max_examples=15, deadline=None)
def test_merged_tokens_are_means_of_their_regions(name, case):
    layout, k, seed = case
    features, inputs = inputs_for(layout, seed, batch=1)
    selection = build(name, room(name, layout, k))(features, layout, **inputs)
    for g, index in enumerate(selection.indices[0].tolist()):
        members = (selection.regions[0] == g).nonzero().flatten()
        # A quadtree's blocks are known by their centres, see `test_quadtree`.
        assert index in members if name == "quadtree" else members[0] == index
        torch.testing.assert_close(selection.kept[0, g], features[0, members].mean(0))


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(MERGING)))
def test_kept_tokens_are_gathered(name):
    layout = ViewLayout.anyres(1, 2, 4)
    features, inputs = inputs_for(layout, 3)
    selection = build(name, 13)(features, layout, **inputs)
    assert torch.equal(selection.kept, selection.gather(features))


@pytest.mark.parametrize("name", TIED)
def test_identical_tokens_tie_to_the_lowest_indices(name):
    layout = ViewLayout.single(5, 6)
    features = torch.randn(1, 1, 48).expand(2, 30, 48)
    text, edges = torch.randn(2, 2, 48), torch.ones(2, 30)
    selection = build(name, 11)(features, layout, text=text, edges=edges)
    assert torch.equal(selection.indices, torch.arange(11).expand(2, 11))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_features(name, dtype):
    layout = ViewLayout(views=[View(4, 4), View(3, 5, valid=[[c < 4 for c in range(5)]] * 3)])
    features, inputs = inputs_for(layout, 5, batch=1)
    inputs = {key: x.to(dtype) for key, x in inputs.items()}
    selection = build(name, 9)(features.to(dtype), layout, **inputs)
    check_selection(selection, features.to(dtype), layout)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_exactly_what_the_kept_tokens_are_made_of(name):
    layout = ViewLayout.single(4, 4)
    features, inputs = inputs_for(layout, 7, batch=1)
    features.requires_grad_(True)
    selection = build(name, 6)(features, layout, **inputs)
    assert not selection.scores.requires_grad
    selection.tokens.sum().backward()
    touched = features.grad[0].abs().sum(-1) > 0
    expected = torch.ones_like(touched) if name in MERGING else selection.mask[0]
    assert torch.equal(touched, expected)


@pytest.mark.parametrize("name", EXACT)
def test_budget_errors_name_both_numbers(name):
    layout = ViewLayout.single(3, 3)
    features, inputs = inputs_for(layout, 0)
    with pytest.raises(ValueError, match=r"K=10 .* 9 selectable"):
        build(name, 10)(features, layout, **inputs)
    with pytest.raises(ValueError, match="budget must be"):
        build(name, 0)


@pytest.mark.parametrize("name", NAMES)
def test_bad_calls_are_refused(name):
    layout = ViewLayout.single(3, 3)
    features, inputs = inputs_for(layout, 0)
    selector = build(name, 4)
    assert isinstance(selector, Selector)
    with pytest.raises(ValueError, match="impl must be one of auto, reference"):
        selector(features, layout, impl="triton", **inputs)
    with pytest.raises(ValueError, match="features must have shape"):
        selector(features[:, :8], layout, **inputs)
    with pytest.raises(ValueError, match="features must be finite"):
        selector(features.fill_(torch.inf), layout, check_finite=True, **inputs)
    with pytest.raises(TypeError, match="unexpected keyword"):
        selector(features, layout, txt=inputs["text"])


@pytest.mark.parametrize(
    "name", ["divprune", "saint", "saint-vote", "tome", "quadtree", "cdpruner", "dedup-max", "random", "uniform"]
)
def test_a_fraction_of_the_selectable_tokens(name):
    layout = ViewLayout(views=[View(4, 5, valid=[[c < 4 for c in range(5)]] * 4)])
    features, inputs = inputs_for(layout, 1)
    assert build(name, 0.25)(features, layout, **inputs).indices.shape == (2, 4)
