import pytest
import torch

from shirg_core import View, ViewLayout
from shirg_core.baselines import TokenMerging
from shirg_core.baselines.tome import merge_until


def test_one_merge_joins_the_most_similar_pair_across_the_split():
    # Even tokens 0, 2; odd tokens 1, 3. cos(2, 1) = 1 is the largest.
    tokens = torch.tensor([[1.0, 0.1], [0.0, 2.0], [0.0, 4.0], [-1.0, 0.0]])
    assert merge_until(tokens, 3).tolist() == [0, 1, 1, 3]
    selection = TokenMerging(3)(tokens[None], ViewLayout.single(2, 2))
    assert selection.indices.tolist() == [[0, 1, 3]]
    assert selection.tokens.tolist() == [[[1.0, pytest.approx(0.1)], [0.0, 3.0], [-1.0, 0.0]]]
    assert selection.regions.tolist() == [[0, 1, 1, 2]]


def test_tokens_of_one_half_do_not_merge_with_each_other():
    # 0 and 2 are equal and both even; the best across the split is 2 with 3.
    tokens = torch.tensor([[1.0, 0.0], [-1.0, 0.2], [1.0, 0.0], [0.9, 0.1]])
    assert merge_until(tokens, 3).tolist() == [0, 1, 2, 0]


def test_a_later_round_weighs_by_size():
    # Round 1 (4 → 2): 0 with 1 and 2 with 3. Round 2 joins the two pairs: the mean of all four.
    tokens = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    assert merge_until(tokens, 2).tolist() == [0, 0, 2, 2]
    selection = TokenMerging(1)(tokens[None], ViewLayout.single(2, 2))
    torch.testing.assert_close(selection.tokens[0, 0], tokens.mean(0))


def test_equal_tokens_merge_from_the_first_on():
    assert merge_until(torch.ones(6, 3), 4).tolist() == [0, 0, 0, 3, 4, 5]


@pytest.mark.parametrize("k", [1, 2, 3, 8, 16, 17])
def test_groups_partition_the_tokens(k):
    first = merge_until(torch.randn(17, 4, generator=torch.Generator().manual_seed(0)), k)
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
