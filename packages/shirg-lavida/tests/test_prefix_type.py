import copy

import pytest
import torch

from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection
from shirg_lavida.prefix_type import Prefix


def test_is_a_tensor_whose_results_are_plain_tensors():
    data = torch.arange(12.0).reshape(1, 3, 4)
    prefix = Prefix.of(data, mask=torch.tensor([[False, True, True]]), visual_tokens=[2])
    assert isinstance(prefix, torch.Tensor)
    assert prefix.shape == (1, 3, 4)
    for result in (prefix + 1, prefix[:, :2], torch.cat([prefix, prefix]), prefix.embeddings, prefix.to(torch.float64)):
        assert type(result) is torch.Tensor
    assert torch.equal(prefix.embeddings, data)
    assert prefix.embeddings.data_ptr() == data.data_ptr()
    assert prefix.mask.tolist() == [[False, True, True]]
    assert prefix.visual_tokens == (2,)
    assert prefix.positions is None


def test_gradients_pass_through():
    leaf = torch.ones(1, 2, 3, requires_grad=True)
    prefix = Prefix.of(leaf * 2)
    (prefix * 3).sum().backward()
    assert torch.equal(leaf.grad, torch.full((1, 2, 3), 6.0))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"positions": torch.zeros(1, 3)}, "positions must be torch.int64"),
        ({"positions": torch.zeros(1, 2, dtype=torch.int64)}, "positions must be torch.int64"),
        ({"mask": torch.ones(1, 3)}, "mask must be torch.bool"),
        ({"visual_tokens": [1, 2]}, "one count per row"),
    ],
)
def test_what_it_carries_must_fit(kwargs, message):
    with pytest.raises(ValueError, match=message):
        Prefix.of(torch.zeros(1, 3, 4), **kwargs)


def test_wrong_embeddings():
    with pytest.raises(ValueError, match="floating"):
        Prefix.of(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="floating"):
        Prefix.of(torch.zeros(1, 3, 4, dtype=torch.int64))


def test_rows_keep_what_belongs_to_them():
    data, positions = torch.arange(24.0).view(3, 2, 4), torch.tensor([[0, 1], [0, 0], [4, 9]])
    mask = torch.tensor([[True, True], [False, True], [True, True]])
    some = Prefix.of(data, positions=positions, mask=mask, visual_tokens=[1, 2, 3]).rows(slice(1, 3))
    assert torch.equal(some.embeddings, data[1:])
    assert (some.positions.tolist(), some.mask.tolist()) == (positions[1:].tolist(), mask[1:].tolist())
    assert some.visual_tokens == (2, 3)
    bare = Prefix.of(data).rows(slice(0, 1))
    assert bare.positions is None
    assert bare.mask is None


def test_a_deep_copy_shares_nothing_and_carries_everything():
    positions, mask = torch.tensor([[0, 0, 5]]), torch.tensor([[False, True, True]])
    zeros = torch.zeros(1, 4)
    chosen = Selection(torch.tensor([[0, 2]]), zeros, zeros.long(), torch.ones(1, 2, 4))
    layout = ViewLayout.single(2, 2)
    prefix = Prefix.of(
        torch.ones(1, 3, 4), positions=positions, mask=mask, visual_tokens=[2], selections=[chosen], layouts=[layout]
    )
    copied = copy.deepcopy([prefix, prefix])
    assert copied[0] is copied[1]
    assert type(copied[0]) is Prefix
    prefix.embeddings.zero_()
    positions.zero_()
    mask.fill_(True)
    chosen.indices.zero_()
    assert torch.equal(copied[0].embeddings, torch.ones(1, 3, 4))
    assert copied[0].positions.tolist() == [[0, 0, 5]]
    assert copied[0].mask.tolist() == [[False, True, True]]
    assert copied[0].selections[0].indices.tolist() == [[0, 2]]
    assert (copied[0].visual_tokens, copied[0].layouts) == ((2,), (layout,))
