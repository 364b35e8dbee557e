import copy
import pickle

import pytest
import torch
from PIL import Image

from shirg_core import shirg_v2
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.prompt.prefix import Prefix
from shirg_lavida.testing import tiny_lavida

LAYOUTS = tuple(ViewLayout.single(n, n) for n in (2, 3, 4))
MASK = torch.tensor([[True, True], [False, True], [True, True]])
POSITIONS = torch.tensor([[0, 1], [0, 0], [4, 9]])


def chosen(*indices):
    zeros = torch.zeros(1, 4)
    return Selection(torch.tensor([indices]), zeros, zeros.long(), torch.ones(1, len(indices), 4))


def three_rows():
    """Row 0 has an image, row 1 none, row 2 two of them."""
    data, selections = torch.arange(24.0).view(3, 2, 4), (chosen(0), None, chosen(1, 2))
    return Prefix(data, MASK, POSITIONS, (1, 0, 2), selections, LAYOUTS, (0, 2, 2))


@pytest.fixture(scope="module")
def batch():
    """A model and its prefix of two prompts of different lengths, so that one row is padded."""
    model = tiny_lavida(side=6, patch_size=4)
    images = [Image.radial_gradient("L").resize(size).convert("RGB") for size in ((200, 80), (60, 60))]
    ids = [[1, 2, IMAGE_TOKEN_ID, 5, 6, 7, 8, 9], [3, IMAGE_TOKEN_ID, 4]]
    prefix = model.embed_prompt(ids, images, selector=shirg_v2(budget=0.4), positions="original")
    assert not prefix.mask.all()
    return model, prefix


def test_it_carries_what_attention_needs():
    prefix = three_rows()
    assert (prefix.shape, prefix.dtype, prefix.device) == ((3, 2, 4), torch.float32, torch.device("cpu"))
    assert prefix.embeddings.data_ptr() == prefix[0].data_ptr()
    bare = Prefix(prefix.embeddings)
    assert (bare.mask, bare.positions, bare.visual_tokens, bare.owners) == (None, None, (), ())


def test_gradients_pass_through(batch):
    model, prefix = batch
    leaf = prefix.embeddings.clone().requires_grad_()
    copied = Prefix(leaf * 1, prefix.mask, prefix.positions)
    model.denoise_logits(copied, torch.full((2, 3), 254), cache=False).sum().backward()
    assert leaf.grad[prefix.mask].abs().sum() > 0
    assert leaf.grad[~prefix.mask].abs().sum() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embeddings": torch.zeros(3, 4)}, "floating"),
        ({"embeddings": torch.zeros(1, 3, 4, dtype=torch.int64)}, "floating"),
        ({"embeddings": torch.zeros(1, 0, 4)}, "P ≥ 1"),
        ({"positions": torch.zeros(1, 3)}, "positions must be torch.int64"),
        ({"positions": torch.zeros(1, 2, dtype=torch.int64)}, "positions must be torch.int64"),
        ({"mask": torch.ones(1, 3)}, "mask must be torch.bool"),
        ({"visual_tokens": (1, 2)}, "one count per row"),
        ({"selections": (None,)}, "one entry per image"),
        ({"selections": (None,), "layouts": LAYOUTS[:1], "owners": (1,)}, r"owners below 1; .* owners \(1,\)"),
    ],
)
def test_what_it_carries_must_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        Prefix(**{"embeddings": torch.zeros(1, 3, 4), **changes})


@pytest.mark.parametrize("index", [0, 2, -1])
def test_a_number_is_a_rows_embeddings(index):
    assert type(three_rows()[index]) is torch.Tensor
    assert torch.equal(three_rows()[index], torch.arange(24.0).view(3, 2, 4)[index])
    with pytest.raises(IndexError):
        three_rows()[3]


@pytest.mark.parametrize(
    ("index", "owners", "layouts"),
    [
        (slice(None), (0, 2, 2), LAYOUTS),
        (slice(1, 3), (1, 1), LAYOUTS[1:]),
        (slice(0, 2), (0,), LAYOUTS[:1]),
        (slice(None, None, 2), (0, 1, 1), LAYOUTS),
        (slice(-2, -1), (), ()),
        (slice(3, 3), (), ()),
    ],
    ids=str,
)
def test_a_slice_keeps_what_belongs_to_its_rows(index, owners, layouts):
    whole = three_rows()
    some = whole[index]
    for name in ("embeddings", "mask", "positions"):
        assert torch.equal(getattr(some, name), getattr(whole, name)[index]), name
    assert some.visual_tokens == whole.visual_tokens[index]
    assert (some.owners, some.layouts) == (owners, layouts)
    assert some.selections == tuple(whole.selections[LAYOUTS.index(layout)] for layout in layouts)
    bare = Prefix(whole.embeddings)[index]
    assert (bare.mask, bare.positions, bare.visual_tokens) == (None, None, ())


@pytest.mark.parametrize(
    "index",
    [(0, 1), (slice(None), slice(1)), [0, 1], torch.tensor([0, 1]), MASK, slice(None, None, -1), None, ..., True, 1.0],
    ids=str,
)
def test_any_other_index_is_refused(index):
    with pytest.raises(TypeError, match="row"):
        three_rows()[index]


def test_a_slice_of_the_rows_has_the_rows_logits(batch):
    model, prefix = batch
    answer = torch.full((2, 6), 254)
    right = model.denoise_logits(prefix, answer)
    assert torch.equal(model.denoise_logits(prefix[0:2], answer), right)
    for b in range(2):
        torch.testing.assert_close(model.denoise_logits(prefix[b : b + 1], answer[:1])[0], right[b], rtol=0, atol=1e-5)
        assert torch.equal(prefix[b : b + 1].selections[0].indices, prefix.selections[b].indices)
    # What a plain tensor loses is no rounding error.
    assert (model.denoise_logits(prefix.embeddings, answer) - right).abs().max() > 0.1


@pytest.mark.parametrize(
    "operation",
    [
        torch.Tensor.detach,
        torch.Tensor.clone,
        torch.clone,
        lambda p: p.detach(),
        lambda p: p.double().float(),
        lambda p: p.to(torch.float64),
        lambda p: p.as_subclass(torch.Tensor),
        lambda p: p + 1,
        lambda p: torch.cat([p, p]),
        lambda p: torch.stack([p]),
        lambda p: torch.nn.functional.pad(p, (0, 0, 1, 0)),
    ],
)
def test_tensor_operations_are_refused(batch, operation):
    with pytest.raises(TypeError):
        operation(batch[1])


def test_a_missing_method_says_what_to_use():
    assert not hasattr(three_rows(), "double")
    with pytest.raises(TypeError, match=r"has no 'double'.*prefix\.embeddings"):
        three_rows().double()
    with pytest.raises(AttributeError):
        three_rows().mask = None


@pytest.mark.parametrize("copies", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_shares_nothing_and_carries_everything(copies):
    prefix = three_rows()
    one, other = copies([prefix, prefix])
    assert one is other
    assert type(one) is Prefix
    for tensor in (prefix.embeddings, prefix.selections[0].indices):
        tensor.fill_(7)
    assert torch.equal(one.embeddings, torch.arange(24.0).view(3, 2, 4))
    assert torch.equal(one.positions, POSITIONS)
    assert torch.equal(one.mask, MASK)
    assert one.selections[0].indices.tolist() == [[0]]
    assert (one.visual_tokens, one.layouts, one.owners) == ((1, 0, 2), LAYOUTS, (0, 2, 2))
