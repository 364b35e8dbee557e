import pytest
import torch

from shirg_core.layout import ViewLayout
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.prompt.join import image_owners, join, split_rows
from shirg_lavida.vision.visual_prefix import ImagePrefix

LAYOUT = ViewLayout.single(2, 2)


def numbers(*values):
    return torch.tensor(values, dtype=torch.float32)[:, None]


def image(values, places, span):
    return ImagePrefix(numbers(*values), torch.tensor(places), span, LAYOUT, None)


def test_images_go_where_their_tokens_stand():
    rows = [torch.tensor([5, IMAGE_TOKEN_ID, 6, 7, IMAGE_TOKEN_ID])]
    images = [image([-1, -2], [0, 3], 4), image([-3], [1], 2)]
    prefix = join(rows, [numbers(5, 6, 7)], images, "original")
    assert prefix.embeddings.flatten().tolist() == [5, -1, -2, 6, 7, -3]
    assert prefix.positions.tolist() == [[0, 1, 4, 5, 6, 8]]
    assert prefix.visual_tokens == (3,)
    assert prefix.layouts == (LAYOUT, LAYOUT)
    assert prefix.mask is None
    packed = join(rows, [numbers(5, 6, 7)], images, "packed")
    assert packed.positions is None


def test_positions_after_the_last_image_continue_behind_its_span():
    prefix = join([torch.tensor([IMAGE_TOKEN_ID, 8])], [numbers(8)], [image([-1], [2], 9)], "original")
    assert prefix.positions.tolist() == [[2, 9]]


def test_shorter_prompts_are_padded_on_the_left():
    rows = [torch.tensor([1]), torch.tensor([2, IMAGE_TOKEN_ID, 3])]
    texts, images = [numbers(1), numbers(2, 3)], [image([-1], [4], 5)]
    packed = join(rows, texts, images, "packed")
    assert packed.embeddings[..., 0].tolist() == [[0, 0, 1], [2, -1, 3]]
    assert packed.mask.tolist() == [[False, False, True], [True, True, True]]
    assert packed.positions.tolist() == [[0, 0, 0], [0, 1, 2]]
    assert packed.visual_tokens == (0, 1)
    assert join(rows, texts, images, "original").positions.tolist() == [[0, 0, 0], [0, 5, 6]]


def test_unknown_positions():
    with pytest.raises(ValueError, match="packed, original"):
        join([torch.tensor([1])], [numbers(1)], [], "rotary")


def test_rows_from_any_shape():
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    assert [r.tolist() for r in split_rows(ids, None, 9)] == [[1, 2, 3], [4, 5, 6]]
    assert [r.tolist() for r in split_rows(ids[0], None, 9)] == [[1, 2, 3]]
    assert [r.tolist() for r in split_rows([ids[0], ids[1, :2]], None, 9)] == [[1, 2, 3], [4, 5]]
    assert [r.tolist() for r in split_rows([1, 2], None, 9)] == [[1, 2]]
    assert [r.tolist() for r in split_rows([[1, IMAGE_TOKEN_ID], (3,)], None, 9)] == [[1, IMAGE_TOKEN_ID], [3]]
    assert [r.tolist() for r in split_rows(torch.tensor([1, 2], dtype=torch.uint8), None, 126464)] == [[1, 2]]
    mask = torch.tensor([[0, 1, 1], [1, 1, 1]])
    assert [r.tolist() for r in split_rows(ids, mask, 9)] == [[2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("ids", "mask", "message"),
    [
        (torch.tensor([[1.0]]), None, "float32"),
        (torch.tensor([[True]]), None, "bool"),
        (torch.tensor([[9]]), None, "id 9 is neither below 9"),
        (torch.tensor([[-1]]), None, "id -1"),
        (torch.zeros(1, 1, 1, dtype=torch.int64), None, "1-dimensional"),
        (torch.zeros(1, 0, dtype=torch.int64), None, "at least one token"),
        ([], None, "no prompt"),
        (torch.tensor([[1, 2]]), torch.tensor([[1]]), "attention_mask"),
        ([torch.tensor([1])], torch.tensor([[1]]), "a list"),
        (torch.tensor([[1, 2]]), torch.tensor([[0, 0]]), "at least one token"),
        (torch.tensor([[1, 2]]), [[1, 1]], "attention_mask must be a tensor, got a list"),
        ([[1], []], None, "at least one token"),
        ([1, 2.5], None, "float32"),
        ([True], None, "bool"),
        ([1, 9], None, "id 9"),
        ([[[1]]], None, "1-dimensional"),
        ([1, [2]], None, "one list or tensor of ids per prompt"),
        ([2**70], None, "one list or tensor of ids per prompt"),
        (["a"], None, "one list or tensor of ids per prompt"),
        ("a prompt", None, "got a str"),
        (7, None, "got a int"),
    ],
)
def test_wrong_ids(ids, mask, message):
    with pytest.raises(ValueError, match=message):
        split_rows(ids, mask, 9)


def test_one_image_per_image_token():
    rows = [torch.tensor([IMAGE_TOKEN_ID, 1, IMAGE_TOKEN_ID]), torch.tensor([1]), torch.tensor([IMAGE_TOKEN_ID])]
    assert image_owners(rows, 3) == [0, 0, 2]
    with pytest.raises(ValueError, match=r"3 image token.* 2 image"):
        image_owners(rows, 2)
