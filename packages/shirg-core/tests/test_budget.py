"""From a budget to K."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shirg_core import View, ViewLayout, shirg_v2, shirg_v3
from shirg_core.budget import check_budget, kept_tokens

from . import oracle
from .strategies import layouts

HALF_PADDED = ViewLayout(views=(View(2, 10, valid=[[True] * 10, [False] * 10]),))


def test_a_count_is_itself():
    layout = ViewLayout.single(4, 4)
    assert [kept_tokens(k, layout) for k in (1, 7, 16)] == [1, 7, 16]


@pytest.mark.parametrize(
    ("budget", "layout", "k"),
    [
        (0.3333, ViewLayout.single(48, 48), 768),
        (0.5, ViewLayout.single(1, 5), 2),  # 2.5 and 3.5: round half to even, as Python does
        (0.5, ViewLayout.single(1, 7), 4),
        (0.01, ViewLayout.single(2, 2), 1),
        (0.999, ViewLayout.single(2, 2), 4),
        (0.3, HALF_PADDED, 3),
        (1.0, HALF_PADDED, 10),
        (np.float32(1.0), ViewLayout.anyres(2, 2, 3), 45),
    ],
)
def test_a_fraction_is_of_the_selectable_tokens(budget, layout, k):
    assert kept_tokens(budget, layout) == k


@given(layout=layouts(pinned=False), budget=st.floats(0, 1, exclude_min=True))
def test_any_fraction_gives_a_count_the_layout_can_hold(layout, budget):
    k = kept_tokens(budget, layout)
    assert 1 <= k <= layout.n_selectable
    assert k == oracle.budget_of(budget, layout)


@pytest.mark.parametrize("budget", [0, -1, 0.0, 1.0001, 1.5, -0.5, float("nan"), float("inf"), True, "7", None])
def test_a_malformed_budget_is_refused_when_the_selector_is_made(budget):
    with pytest.raises(ValueError, match="budget must be"):
        check_budget(budget)
    for method in (shirg_v2, shirg_v3):
        with pytest.raises(ValueError, match="budget must be"):
            method(budget)


@pytest.mark.parametrize("method", [partial(shirg_v2, text_weight=0), shirg_v3])
def test_all_of_it_keeps_every_token_as_it_is(method):
    layout = ViewLayout(views=(View(3, 5), View(2, 10, valid=[[True] * 10, [False] * 10])))
    features = torch.randn(2, layout.n_tokens, 8)
    selection = method(1.0)(features, layout, edges=torch.rand(2, layout.n_tokens))
    valid = layout.valid_mask()
    assert torch.equal(selection.mask, valid.expand(2, -1))
    assert torch.equal(selection.tokens, features[:, valid])


def test_more_than_selectable_names_both_numbers():
    with pytest.raises(ValueError, match=r"11.*10"):
        kept_tokens(11, HALF_PADDED)


def test_less_than_pinned_names_both_numbers():
    layout = ViewLayout(views=(View(3, 3, pinned=True), View(4, 4)))
    with pytest.raises(ValueError, match=r"8.*9"):
        kept_tokens(8, layout)
    assert kept_tokens(9, layout) == 9


def test_budgets_may_come_out_of_numpy():
    layout = ViewLayout.single(4, 4)
    for budget, k in ((np.int64(7), 7), (np.uint8(7), 7), (np.float32(0.25), 4), (np.float64(0.25), 4)):
        assert kept_tokens(budget, layout) == k
        assert type(kept_tokens(budget, layout)) is int
    for budget in (np.int64(0), np.float32(1.5), np.bool_(True), True):
        with pytest.raises(ValueError, match="integer ≥ 1 or a fraction"):
            check_budget(budget)
