"""Oracles by hand, from the paper's predictor: left, unless a vertical border says above."""

import pytest
import torch

from shirg_core import View, ViewLayout
from shirg_core.baselines import Deduplication
from shirg_core.baselines.deduplication import neighbours, predict
from shirg_core.methods import METHODS


def grid(*rows):
    return torch.tensor(rows, dtype=torch.float32).reshape(1, -1, 1), ViewLayout.single(len(rows), len(rows[0]))


def kept_at(threshold, x, layout, metric="max"):
    kept, _ = predict(x, torch.tensor([threshold]), neighbours(layout, x.device), metric)
    return kept[0].nonzero().flatten().tolist()


def test_two_blocks_side_by_side_need_one_token_each():
    # Row 0 keeps the first of either block. In row 1 the corner of token 7 is like its left and unlike its above: a
    # vertical border, so it is predicted from above.
    assert kept_at(0.0, *grid([1, 1, 5, 5], [1, 1, 5, 5], [1, 1, 5, 5])) == [0, 2]


def test_one_block_above_another_needs_one_token_each():
    assert kept_at(0.0, *grid([1, 1, 1], [5, 5, 5])) == [0, 3]


def test_a_slow_gradient_is_compared_with_what_was_kept_last():
    # Steps of .4 never exceed τ = .5 between neighbours; against the kept token every second one does.
    assert kept_at(0.5, *grid([0.0, 0.4, 0.8, 1.2, 1.6])) == [0, 2, 4]


def test_metrics():
    x, layout = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]]), ViewLayout.single(1, 3)
    assert kept_at(0.6, x, layout, "max") == [0, 1, 2]
    assert kept_at(0.6, x, layout, "mean") == [0]


def test_the_threshold_is_bisected_to_the_budget():
    # Against what stands left of them, tokens 1 to 4 differ by 8, 2, 4, 1.
    x, layout = grid([0.0, 8.0, 10.0, 14.0, 15.0])
    assert Deduplication(2)(x, layout).indices.tolist() == [[0, 1]]
    assert Deduplication(3)(x, layout).indices.tolist() == [[0, 1, 3]]
    assert Deduplication(4)(x, layout).indices.tolist() == [[0, 1, 2, 3]]


def test_images_of_a_batch_have_thresholds_of_their_own():
    x = torch.tensor([[0.0, 8, 10, 14, 15], [0.0, 0.01, 0.05, 0.06, 0.08]])[..., None]
    together = Deduplication(3)(x, ViewLayout.single(1, 5)).indices
    assert together.tolist() == [[0, 1, 3], [0, 2, 4]]


def test_free_places_go_to_the_worst_predicted_then_in_index_order():
    # At any τ below 4 tokens 0 and 2 stay, and the other two are copies: the first one fills up.
    x, layout = grid([0.0, 0.0, 4.0, 4.0])
    assert Deduplication(3)(x, layout).indices.tolist() == [[0, 1, 2]]
    # τ < 3 keeps all three of the last: three steps of 3 in one go. K = 2 drops them; 3 is the last but not the worst.
    x, layout = grid([0.0, 3.0, 6.0], [0.0, 3.0, 6.0])
    assert Deduplication(2)(x, layout).indices.tolist() == [[0, 2]]


def test_views_padding_and_pinned_views_predict_nothing():
    layout = ViewLayout(views=[View(1, 2), View(1, 2, pinned=True), View(1, 3, valid=[[True, False, True]])])
    kept, error = predict(torch.ones(1, 7, 4), torch.tensor([9.0]), neighbours(layout, torch.device("cpu")), "max")
    # Behind the hole nothing is left of the last token, so it is a first one again.
    assert kept[0].tolist() == [True, False, True, True, True, False, True]
    assert error.abs().max() == 0
    assert Deduplication(3)(torch.ones(1, 7, 4), layout).indices.tolist() == [[0, 2, 3]]


def test_names_and_bad_settings():
    assert {name: method.build(budget=3) for name, method in METHODS.items() if method.on_pixels} == {
        "dedup-max": Deduplication(3),
        "dedup-mean": Deduplication(3, metric="mean"),
    }
    with pytest.raises(ValueError, match=r"metric must be one of max, mean, got 'rmse'"):
        Deduplication(3, metric="rmse")
