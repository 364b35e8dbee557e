"""From scores and regions to exactly K indices."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shirg_core import View, ViewLayout
from shirg_core.selection.choose import choose

from . import oracle
from .strategies import layouts

GRID = 2.0**-16


def kept(scores, regions, layout, k):
    return choose(torch.tensor([scores]), torch.tensor([regions]), layout, k)[0].tolist()


def test_top_one_of_each_region_then_the_global_ranking():
    layout = ViewLayout.single(1, 6)
    scores, regions = [0.9, 0.8, 0.7, 0.1, 0.2, 0.3], [0, 0, 0, 1, 1, 2]
    assert kept(scores, regions, layout, 3) == [0, 4, 5]
    assert kept(scores, regions, layout, 4) == [0, 1, 4, 5]
    assert kept(scores, regions, layout, 6) == [0, 1, 2, 3, 4, 5]


def test_ties_go_to_the_lowest_index():
    layout = ViewLayout.single(1, 6)
    assert kept([0.5] * 6, [0] * 6, layout, 3) == [0, 1, 2]
    assert kept([0.5] * 6, [0, 0, 0, 1, 1, 1], layout, 3) == [0, 1, 3]
    assert kept([0.25, 0.5, 0.5, 0.5, 0.25, 0.5], [0] * 6, layout, 2) == [1, 2]


def test_one_grid_step_outranks_any_index():
    assert kept([0.5] * 5 + [0.5 + GRID], [0] * 6, ViewLayout.single(1, 6), 1) == [5]


def test_padding_is_never_kept_and_pinned_always():
    layout = ViewLayout(views=(View(1, 3, valid=[[True, False, True]]), View(1, 2, pinned=True), View(1, 2)))
    scores, regions = [0.1, 9.0, 0.2, 0.0, 0.0, 0.7, 0.8], [0, -1, 0, 1, 1, 2, 2]
    assert kept(scores, regions, layout, 4) == [2, 3, 4, 6]
    assert kept(scores, regions, layout, 5) == [2, 3, 4, 5, 6]


def test_a_pinned_region_claims_no_further_token():
    """Token 2 is the best of its region, which the pinned view covers already (as one region may span both here)."""
    layout = ViewLayout(views=(View(1, 1, pinned=True), View(1, 3)))
    assert kept([0.0, 0.1, 0.2, 0.3], [0, 1, 0, 1], layout, 2) == [0, 3]


def test_large_scores_and_many_tokens_do_not_overflow():
    layout = ViewLayout.single(1, 4096)
    scores = torch.zeros(1, 4096)
    scores[0, 4095] = 2.0**21
    scores[0, 17] = 2.0**21 - 1
    assert choose(scores, torch.zeros(1, 4096, dtype=torch.int64), layout, 3).tolist() == [[0, 17, 4095]]


@given(layout=layouts(), data=st.data(), levels=st.integers(0, 5), n_regions=st.integers(1, 6))
def test_any_scores_and_regions_match_the_loops(layout, data, levels, n_regions):
    n = layout.n_tokens
    scores = [GRID * s for s in data.draw(st.lists(st.integers(0, levels), min_size=n, max_size=n))]
    regions = data.draw(st.lists(st.integers(0, min(n_regions, n) - 1), min_size=n, max_size=n))
    regions = [r if ok else -1 for r, ok in zip(regions, oracle.valid_tokens(layout), strict=True)]
    k = data.draw(st.integers(oracle.needed_tokens(regions, layout), layout.n_selectable))
    expected = oracle.choose(scores, regions, layout, k)
    assert kept(scores, regions, layout, k) == expected
    everyone = [scores, [1 - s for s in scores]]
    both = choose(torch.tensor(everyone), torch.tensor([regions, regions]), layout, k)
    assert both[0].tolist() == expected
    assert both.dtype == torch.int64


def test_the_oracle_refuses_what_choose_relies_on():
    with pytest.raises(ValueError, match="1 < 2"):
        oracle.choose([0.0, 0.0], [0, 1], ViewLayout.single(1, 2), 1)
