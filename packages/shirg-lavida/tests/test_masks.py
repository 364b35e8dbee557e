import pytest
import torch

from shirg_lavida.language.masks import full_mask, group_mask, prefix_mask


def grid(mask):
    return mask[0, 0].int().tolist()


def test_prefix_sees_itself_and_answer_sees_all():
    assert grid(prefix_mask(2, 2)) == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]


def test_two_answers_share_a_prefix_and_not_each_other():
    groups = torch.tensor([[0, 1, 1, 2]])
    assert grid(group_mask(groups)) == [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 1]]


def test_padding_is_seen_by_nobody():
    valid = torch.tensor([[False, True], [True, True]])
    mask = prefix_mask(2, 1, valid)
    assert mask.shape == (2, 1, 3, 3)
    assert mask[0, 0].int().tolist() == [[0, 1, 0], [0, 1, 0], [0, 1, 1]]
    assert grid(mask[1:]) == grid(prefix_mask(2, 1))
    assert full_mask(1, valid).tolist() == [[[[False, True, True]]], [[[True, True, True]]]]
    assert full_mask(1, None) is None


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\[1, 3\], got \[1, 2\]"):
        group_mask(torch.zeros(1, 3, dtype=torch.long), torch.ones(1, 2, dtype=torch.bool))
