import torch

from shirg_core import View, ViewLayout
from shirg_core.baselines.merging import merge_groups


def test_groups_are_averaged_and_numbered_by_their_first_token():
    layout = ViewLayout(views=[View(1, 5, valid=[[True, True, True, False, True]])])
    features = torch.tensor([1.0, 2, 3, 100, 5]).view(1, 5, 1)
    selection = merge_groups(features, torch.tensor([[0, 1, 0, -1, 1]]), layout, 2)
    assert selection.indices.tolist() == [[0, 1]]
    assert selection.kept.flatten().tolist() == [2.0, 3.5]
    assert selection.regions.tolist() == [[0, 1, 0, -1, 1]]
    assert selection.scores.tolist() == [[1, 1, 0, 0, 0]]
    assert selection.summary is None


def test_gradient_of_a_mean_is_shared_equally():
    features = torch.randn(1, 4, 3, dtype=torch.float64, requires_grad=True)
    layout = ViewLayout.single(2, 2)
    merge_groups(features, torch.tensor([[0, 0, 2, 0]]), layout, 2).kept.sum().backward()
    torch.testing.assert_close(features.grad[0, :, 0], torch.tensor([1, 1, 3, 1]).double() / 3)
