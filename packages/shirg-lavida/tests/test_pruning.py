import pytest
import torch

from shirg_lavida.pruning.protocol import keep_top


def test_keeps_the_best_visual_tokens_and_all_others_in_order():
    importance = torch.tensor([[0.0, 5.0, 1.0, 3.0, 0.0], [9.0, 1.0, 1.0, 1.0, 9.0]])
    visual = torch.tensor([[False, True, True, True, False]] * 2)
    assert keep_top(importance, visual, 0.67).tolist() == [[0, 1, 3, 4], [0, 1, 2, 4]]
    assert keep_top(importance, visual, 0.01).tolist() == [[0, 1, 4], [0, 1, 4]]
    assert keep_top(importance, visual, 1.0).tolist() == [[0, 1, 2, 3, 4]] * 2


@pytest.mark.parametrize(
    ("visual", "keep", "message"),
    [
        (torch.ones(1, 3, dtype=torch.bool), 0.0, "keep must be"),
        (torch.ones(1, 2, dtype=torch.bool), 0.5, r"\[1, 3\], got \[1, 2\]"),
        (torch.zeros(1, 3, dtype=torch.bool), 0.5, "number ≥ 1 of visual entries"),
    ],
)
def test_bad_input(visual, keep, message):
    with pytest.raises(ValueError, match=message):
        keep_top(torch.zeros(1, 3), visual, keep)
