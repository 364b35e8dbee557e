"""Oracles by hand, from the vote's formula: tokens 0, 2, … are A and may go, tokens 1, 3, … are B."""

import math

import pytest
import torch

from shirg_core import View, ViewLayout
from shirg_core.baselines import BipartiteVote
from shirg_core.baselines.saint_vote import redundancy, vote_out
from shirg_core.baselines.similarity import cosine_matrix

NONE = torch.empty(0, dtype=torch.int64)


def at_angles(*degrees):
    angle = torch.tensor(degrees, dtype=torch.float32).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_score_is_votes_times_the_sharpened_excess():
    cosine = torch.tensor([[0.75, 1.0, 0.25], [0.5, 0.75, 0.25], [0.25, -0.5, 0.0]])
    # Two votes of mean 0.875; one vote at the threshold itself... 0.75; no vote: the mean of all, −1/12.
    expected = [math.log(2 * math.exp(10 * (0.875 - 0.75))), math.log(1), -1 / 12 - 2]
    assert (redundancy(cosine, 0.75) / 2**16).tolist() == pytest.approx(expected, abs=2**-16)


def test_many_votes_beat_one_close_one_and_only_one_half_is_dropped():
    # A: 0°, 90°. B: 20°, −20°, 90°: 0° has two votes of cosine .94 (log 2 + 10 · .24 = 3.1), 90° one of 1 (3.0).
    features = at_angles(0, 20, 90, -20, 200, 90)
    assert (vote_out(cosine_matrix(features), 5, 0.7, 1, NONE) == 1).tolist() == [False, True, True, True, True, True]
    assert BipartiteVote(4, rounds=1)(features[None], ViewLayout.single(2, 3)).indices.tolist() == [[1, 3, 4, 5]]


def test_without_votes_the_largest_mean_goes():
    # No cosine reaches .7. Means with B (60° and 240°): each pair cancels, but for token 2 beside an extra 130°.
    features = at_angles(0, 60, 80, 240, 170, 130)
    cosine = cosine_matrix(features)[0::2][:, 1::2]
    lost = int(cosine.mean(1).argmax())
    assert (cosine < 0.99).all()
    assert (vote_out(cosine_matrix(features), 5, 0.99, 1, NONE) == 0).nonzero().flatten().tolist() == [2 * lost]


def test_the_second_round_splits_what_is_left_behind_the_most_redundant():
    # Eight copies, K = 4, two rounds of two drops: equal scores, so the last of A go (6, 4). What is left of A is 2, 0
    # in the order of the ranking, then B: 2, 0, 1, 3, 5, 7. Now 2, 1, 5 may go, and the last two of them do: 5 and 1.
    score = vote_out(torch.ones(8, 8), 4, 0.7, 2, NONE)
    assert score.tolist() == [1, 0.5, 1, 1, 0, 0.5, 0, 1]


def test_pinned_tokens_vote_and_stay():
    layout = ViewLayout(views=[View(1, 1), View(1, 2, pinned=True), View(1, 2)])
    features = at_angles(0, 0, 5, 90, 180)[None]
    assert BipartiteVote(4)(features, layout).indices.tolist() == [[1, 2, 3, 4]]
    assert BipartiteVote(2)(features, layout).indices.tolist() == [[1, 2]]


def test_many_rounds_keep_what_one_round_must_drop():
    # Four copies at 0 to 3, then two tokens unlike all others: of A (0, 2, 4) one round of 3 drops token 4 too.
    features = torch.eye(3)[[0, 0, 0, 0, 1, 2]][None]
    assert BipartiteVote(3, rounds=1)(features, ViewLayout.single(2, 3)).indices.tolist() == [[1, 3, 5]]
    assert BipartiteVote(3)(features, ViewLayout.single(2, 3)).indices[0, 1:].tolist() == [4, 5]


@pytest.mark.parametrize("bad", [{"threshold": -1.5}, {"rounds": 0}])
def test_bad_settings(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must be"):
        BipartiteVote(2, **bad)
