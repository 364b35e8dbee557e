import pytest
import torch

from shirg_lavida.vision.pooling import pool_grid

GRID = torch.arange(9.0).reshape(1, 9, 1)  # 3 × 3


def test_whole_windows():
    assert pool_grid(GRID, 3, "average").tolist() == [
        [[2.0]]
    ]  # (0 + 1 + 3 + 4) / 4; the odd row and column are dropped
    assert pool_grid(GRID, 3, "max").tolist() == [[[4.0]]]


def test_bilinear_rounds_up():
    # Half-pixel centres: output centres lie at 0.25 and 1.75 of the 3-wide input.
    assert torch.allclose(pool_grid(GRID, 3, "bilinear").flatten(), torch.tensor([1.0, 2.5, 5.5, 7.0]))
    assert pool_grid(torch.zeros(2, 27 * 27, 5), 27, "bilinear").shape == (2, 196, 5)
    assert pool_grid(torch.zeros(2, 27 * 27, 5), 27, "average").shape == (2, 169, 5)


def test_wrong_input():
    with pytest.raises(ValueError, match="full grid of 3 × 3 = 9 tokens, got 8"):
        pool_grid(GRID[:, :8], 3, "max")
    with pytest.raises(ValueError, match="sum"):
        pool_grid(GRID, 3, "sum")
