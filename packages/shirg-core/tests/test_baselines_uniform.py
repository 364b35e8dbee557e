import pytest
import torch

from shirg_core import View, ViewLayout
from shirg_core.baselines import UniformGrid
from shirg_core.baselines.uniform import share_out, spaced, spaced_tokens


def kept(layout, k):
    return UniformGrid(k)(torch.zeros(1, layout.n_tokens, 2), layout).indices[0].tolist()


def test_a_quarter_of_a_square_is_every_other_row_and_column():
    assert kept(ViewLayout.single(4, 4), 4) == [5, 7, 13, 15]
    grid = torch.zeros(8, 8, dtype=torch.bool)
    grid[1::2, 1::2] = True
    assert kept(ViewLayout.single(8, 8), 16) == grid.flatten().nonzero().flatten().tolist()


def test_one_token_is_the_middle_and_all_tokens_are_all():
    assert kept(ViewLayout.single(5, 5), 1) == [12]
    assert kept(ViewLayout.single(5, 5), 25) == list(range(25))


@pytest.mark.parametrize("k", range(1, 37))
def test_rows_and_columns_are_used_evenly(k):
    grid = torch.zeros(36, dtype=torch.int64)
    grid[kept(ViewLayout.single(6, 6), k)] = 1
    rows = grid.view(6, 6).sum(1)
    used = rows[rows > 0]
    assert grid.sum() == k
    assert used.max() - used.min() <= 1


def test_views_share_the_budget_in_proportion_to_their_tokens():
    layout = ViewLayout(views=[View(2, 2), View(4, 4), View(2, 2)])
    tokens = torch.tensor(kept(layout, 12))
    assert layout.view_ids()[tokens].bincount().tolist() == [2, 8, 2]


def test_pinned_views_are_kept_whole_and_the_rest_share_what_is_left():
    layout = ViewLayout(views=[View(3, 3, pinned=True), View(4, 4)])
    assert kept(layout, 13) == [*range(9), 9 + 5, 9 + 7, 9 + 13, 9 + 15]


def test_more_rows_where_the_placed_ones_hold_too_little():
    view = View(3, 4, valid=[[True] * 4, [True, False, False, False], [True] * 4])
    assert spaced_tokens(view, 2) in ([0, 4], [2, 10])
    assert sorted(spaced_tokens(view, 9)) == [0, 1, 2, 3, 4, 8, 9, 10, 11]


def test_positions_sit_in_the_middle_of_their_stretch():
    assert spaced(3, 9) == [1, 4, 7]
    assert spaced(2, 5) == [1, 3]


def test_sharing_out_never_exceeds_a_part():
    assert share_out(5, [2, 2, 2]) == [2, 1, 2]
    assert share_out(0, [3, 0]) == [0, 0]
    assert share_out(7, [1, 0, 6]) == [1, 0, 6]
