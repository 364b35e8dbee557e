import torch

from shirg_core import View, ViewLayout
from shirg_core.baselines.similarity import cosine_matrix, pinned_tokens, scores_from_order, valid_tokens

LAYOUT = ViewLayout(views=[View(1, 2, valid=[[False, True]]), View(1, 3, pinned=True, valid=[[True, False, True]])])


def test_cosines_on_the_grid():
    cosine = cosine_matrix(torch.tensor([[3.0, 0.0], [3.0, 4.0], [0.0, 0.0]]))
    grid = round(0.6 * 2**16) / 2**16
    assert cosine.tolist() == [[1, grid, 0], [grid, 1, 0], [0, 0, 0]]


def test_positions_among_the_valid_tokens():
    features = torch.arange(5.0).view(1, 5, 1)
    assert valid_tokens(features, LAYOUT).flatten().tolist() == [1, 2, 4]
    assert pinned_tokens(LAYOUT, features.device).tolist() == [1, 2]


def test_scores_fall_with_the_order():
    scores = scores_from_order([torch.tensor([2, 0])], LAYOUT)
    assert scores.tolist() == [[0, 0.5, 0, 0, 1.0]]
