"""From a budget to K."""

import numpy as np
import pytest
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
    ],
)
def test_a_fraction_is_of_the_selectable_tokens(budget, layout, k):
    assert kept_tokens(budget, layout) == k


@given(layout=layouts(pinned=False), budget=st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_any_fraction_gives_a_count_the_layout_can_hold(layout, budget):
    k = kept_tokens(budget, layout)
    assert 1 <= k <= layout.n_selectable
    assert k == oracle.budget_of(budget, layout)


@pytest.mark.parametrize("budget", [0, -1, 0.0, 1.0, 1.5, -0.5, float("nan"), float("inf"), True, "7", None])
def test_a_malformed_budget_is_refused_when_the_selector_is_made(budget):
    with pytest.raises(ValueError, match="budget must be"):
        check_budget(budget)
    for method in (shirg_v2, shirg_v3):
        with pytest.raises(ValueError, match="budget must be"):
            method(budget)


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
    for budget in (np.int64(0), np.float32(1.0), np.bool_(True), True):
        with pytest.raises(ValueError, match="integer ≥ 1 or a fraction"):
            check_budget(budget)
