import pytest
import torch

from shirg_core import View, ViewLayout
from shirg_core.baselines import Pooling


def test_means_of_squares_with_short_ones_at_the_border():
    features = torch.arange(15.0).view(1, 15, 1)
    selection = Pooling()(features, ViewLayout.single(3, 5))
    assert selection.indices.tolist() == [[0, 2, 4, 10, 12, 14]]
    assert selection.tokens.flatten().tolist() == [3.0, 5.0, 6.5, 10.5, 12.5, 14.0]
    assert selection.regions.view(3, 5).tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]


@pytest.mark.parametrize(
    ("layout", "count"), [(ViewLayout.single(48, 48), 576), (ViewLayout.anyres(2, 2, 27), 980)], ids=["v3", "lavida"]
)
def test_counts_of_the_real_layouts(layout, count):
    assert Pooling()(torch.zeros(1, layout.n_tokens, 1), layout).indices.shape == (1, count)


def test_padding_is_not_averaged_and_empty_squares_vanish():
    valid = [[False, True, False, False], [True, True, False, False]]
    features = torch.tensor([torch.nan, 1, 0, 0, 2, 6, 0, 0]).view(1, 8, 1)
    selection = Pooling()(features, ViewLayout(views=[View(2, 4, valid=valid)]))
    assert selection.indices.tolist() == [[1]]
    assert selection.tokens.item() == 3.0
    assert selection.regions.tolist() == [[-1, 0, -1, -1, 0, 0, -1, -1]]


def test_pinned_views_are_not_pooled():
    layout = ViewLayout(views=[View(2, 2, pinned=True), View(2, 2)])
    assert Pooling()(torch.zeros(2, 8, 3), layout).indices.tolist() == [[0, 1, 2, 3, 4]] * 2


def test_side_sets_the_square():
    assert Pooling(side=3)(torch.zeros(1, 36, 1), ViewLayout.single(6, 6)).indices.tolist() == [[0, 3, 18, 21]]
    with pytest.raises(ValueError, match="side must be"):
        Pooling(side=0)
