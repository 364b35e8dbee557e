"""Oracles by hand, from the formulas of the paper: tokens 0, 2, … are B, tokens 1, 3, … are A and look for one in B."""

import pytest
import torch
import torch.nn.functional as F

from shirg_core import View, ViewLayout
from shirg_core.baselines import TokenMerging
from shirg_core.baselines.similarity import even_rounds
from shirg_core.baselines.tome import merge_until


def test_one_merge_joins_the_most_similar_pair_across_the_split():
    # A is 1 and 3, B is 0 and 2. cos(1, 2) = 1 is the largest.
    tokens = torch.tensor([[1.0, 0.1], [0.0, 2.0], [0.0, 4.0], [-1.0, 0.0]])
    assert merge_until(tokens, 3, 1).tolist() == [0, 1, 1, 3]
    selection = TokenMerging(3)(tokens[None], ViewLayout.single(2, 2))
    assert selection.indices.tolist() == [[0, 1, 3]]
    assert selection.tokens.tolist() == [[[1.0, pytest.approx(0.1)], [0.0, 3.0], [-1.0, 0.0]]]
    assert selection.regions.tolist() == [[0, 1, 1, 2]]


def test_tokens_of_one_half_do_not_merge_with_each_other():
    # 0 and 2 are equal and both of B; the best across the split is 3, with 0 and with 2, and the first one wins.
    tokens = torch.tensor([[1.0, 0.0], [-1.0, 0.2], [1.0, 0.0], [0.9, 0.1]])
    assert merge_until(tokens, 3, 1).tolist() == [0, 1, 2, 0]


def test_a_later_round_weighs_by_size():
    # Round 1: 1 joins 0 and 3 joins 2. Round 2 joins the two pairs: the mean of all four.
    tokens = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    assert merge_until(tokens, 2, 1).tolist() == [0, 0, 2, 2]
    selection = TokenMerging(1, rounds=1)(tokens[None], ViewLayout.single(2, 2))
    torch.testing.assert_close(selection.tokens[0, 0], tokens.mean(0))


def test_a_means_direction_is_that_of_the_size_weighted_sum():
    # At 0°, 10°, 100°, 52°, with a long token 0. First 1 joins 0 (10°): the mean lies at 0.9°, not at the middle, 5°.
    # Left of A: 3 (52°), then B: 0 (0.9°) and 2 (100°). In order 3, 0, 2 the seeker is 0: 51.1° from 3, 99.1° from 2.
    # Weighed equally it would lie at 5°, and the pair would be the same; so the second round is between 0 and 3, and
    # the mean of sizes 2 and 1 is Σ x / 3.
    angle = torch.tensor([0.0, 10.0, 100.0, 52.0]).deg2rad()
    tokens = torch.stack([angle.cos(), angle.sin()], 1) * torch.tensor([10.0, 1, 1, 1])[:, None]
    assert merge_until(tokens, 2, 2).tolist() == [0, 0, 2, 0]
    selection = TokenMerging(2, rounds=2)(tokens[None], ViewLayout.single(2, 2))
    torch.testing.assert_close(selection.tokens[0, 0], tokens[[0, 1, 3]].mean(0))


def test_rounds_share_the_merges_and_one_round_forces_unlike_pairs():
    # Six copies of one token, then two tokens unlike all others. In one round of 4 merges every token of A has to join
    # something: 7 (A) is merged away although nothing resembles it. In four rounds the copies merge, and both stay.
    tokens = torch.tensor([[1.0, 0, 0]] * 6 + [[0, 1.0, 0], [0, 0.1, 1.0]])
    assert merge_until(tokens, 4, 1).tolist() == [0, 0, 2, 0, 4, 0, 6, 6]
    assert merge_until(tokens, 4, 4)[6:].tolist() == [6, 7]


@pytest.mark.parametrize(
    ("n", "k", "rounds", "expected"),
    [
        (10, 4, 3, [2, 2, 2]),
        (10, 3, 3, [3, 2, 2]),
        (6, 4, 24, [1, 1]),
        (8, 1, 1, [4, 2, 1]),
        (5, 5, 2, []),
        (9, 2, 2, [4, 2, 1]),
    ],
)
def test_rounds_are_even_until_half_of_the_tokens_is_the_limit(n, k, rounds, expected):
    assert list(even_rounds(n, k, rounds)) == expected


def test_equal_tokens_merge_from_the_first_on():
    assert merge_until(torch.ones(6, 3), 4, 1).tolist() == [0, 0, 2, 0, 4, 5]


def test_one_product_serves_all_rounds():
    """The rows and columns that are added up are the products of the sums."""
    tokens = torch.randn(61, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float32)
    order, member = list(range(61)), {i: [i] for i in range(61)}
    for r in even_rounds(61, 9, 5):
        mean = {i: F.normalize(tokens[member[i]].double().sum(0), dim=0) for i in order}
        seek, offer = order[1::2], order[0::2]
        best = {a: max(offer, key=lambda b, a=a: round(float(mean[a] @ mean[b]) * 2**16)) for a in seek}
        gone = sorted(seek, key=lambda a: -round(float(mean[a] @ mean[best[a]]) * 2**16))[:r]
        for a in gone:
            member[best[a]] += member.pop(a)
        order = [a for a in seek if a not in gone] + offer
    expected = torch.empty(61, dtype=torch.int64)
    for group in member.values():
        expected[group] = min(group)
    assert torch.equal(merge_until(tokens, 9, 5), expected)


def test_zero_tokens_resemble_nothing():
    tokens = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.1], [0.0, 0.0]])
    assert merge_until(tokens, 3, 1).tolist() == [0, 1, 1, 3]


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "24"])
def test_rounds_are_a_count(bad):
    with pytest.raises(ValueError, match=r"rounds must be an integer ≥ 1, got"):
        TokenMerging(2, rounds=bad)


@pytest.mark.parametrize("rounds", [1, 3, 24])
@pytest.mark.parametrize("k", [1, 2, 3, 8, 16, 17])
def test_groups_partition_the_tokens(k, rounds):
    first = merge_until(torch.randn(17, 4, generator=torch.Generator().manual_seed(0)), k, rounds)
    assert first.unique().numel() == k
    assert torch.equal(first[first], first)
    assert bool((first <= torch.arange(17)).all())


def test_pinned_tokens_stay_out_and_the_rest_needs_room():
    layout = ViewLayout(views=[View(1, 2, pinned=True), View(1, 3)])
    features = torch.ones(1, 5, 2)
    selection = TokenMerging(3)(features, layout)
    assert selection.indices.tolist() == [[0, 1, 2]]
    assert selection.regions.tolist() == [[0, 1, 2, 2, 2]]
    with pytest.raises(ValueError, match=r"K=2 .* other 3"):
        TokenMerging(2)(features, layout)


def test_nothing_but_pinned_tokens():
    layout = ViewLayout(views=[View(1, 2, pinned=True)])
    assert TokenMerging(2)(torch.ones(1, 2, 2), layout).indices.tolist() == [[0, 1]]
