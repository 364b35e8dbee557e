import pytest
import torch

from shirg_lavida.prompt.context import answer_context
from shirg_lavida.prompt.prefix import Prefix


def test_plain_tensor_is_packed_and_unpadded():
    context = answer_context(torch.zeros(2, 5, 4), 3, 100)
    assert context.positions.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert context.answer_positions.tolist() == [[5, 6, 7]] * 2
    assert context.mask is None
    assert context.answer_length == 3


def test_answer_continues_after_each_rows_own_last_position():
    positions = torch.tensor([[0, 3, 9], [0, 0, 1]])
    mask = torch.tensor([[True, True, True], [False, True, True]])
    prefix = Prefix(torch.zeros(2, 3, 4), positions=positions, mask=mask)
    context = answer_context(prefix, 2, 100)
    assert context.answer_positions.tolist() == [[10, 11], [2, 3]]
    assert type(context.embeddings) is torch.Tensor


def test_mask_without_positions_packs_what_is_valid():
    prefix = Prefix(torch.zeros(1, 4, 4), mask=torch.tensor([[False, False, True, True]]))
    context = answer_context(prefix, 1, 100)
    assert context.positions.tolist() == [[0, 0, 0, 1]]
    assert context.answer_positions.tolist() == [[2]]


def test_context_is_filled_to_the_brim_and_no_further():
    answer_context(torch.zeros(1, 6, 4), 4, 10)
    with pytest.raises(ValueError, match="11 positions, but the model's context holds 10"):
        answer_context(torch.zeros(1, 6, 4), 5, 10)
    far = Prefix(torch.zeros(1, 2, 4), positions=torch.tensor([[0, 8]]))
    with pytest.raises(ValueError, match="context holds 10"):
        answer_context(far, 2, 10)


@pytest.mark.parametrize(
    ("prefix", "length", "message"),
    [
        (torch.zeros(2, 4), 1, r"\[B, P, d\]"),
        (torch.zeros(1, 0, 4), 1, "P ≥ 1"),
        (torch.zeros(1, 2, 4, dtype=torch.int64), 1, "floating"),
        (torch.zeros(1, 2, 4), 0, "answer_length=0"),
        (Prefix(torch.zeros(1, 2, 4), mask=torch.zeros(1, 2, dtype=torch.bool)), 1, "nothing but padding"),
    ],
)
def test_bad_input(prefix, length, message):
    with pytest.raises(ValueError, match=message):
        answer_context(prefix, length, 100)
