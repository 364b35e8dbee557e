import pytest
import torch

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
