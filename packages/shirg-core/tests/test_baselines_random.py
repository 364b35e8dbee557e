import pytest
import torch

from shirg_core import ViewLayout
from shirg_core.baselines import RandomTokens

LAYOUT = ViewLayout.single(8, 8)


def draw(seed, k=16, batch=1):
    return RandomTokens(k, seed=seed)(torch.zeros(batch, 64, 2), LAYOUT).indices


def test_seed_decides():
    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_every_image_of_a_batch_gets_the_same_draw():
    assert torch.equal(draw(3, batch=4), draw(3).expand(4, 16))


def test_the_global_generator_is_neither_read_nor_moved():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    draw(seed=12345)
    assert torch.equal(torch.rand(1), expected)


def test_the_default_dtype_decides_nothing():
    layout = ViewLayout.single(48, 48)
    torch.set_default_dtype(torch.bfloat16)
    try:
        under = RandomTokens(300, seed=77)(torch.zeros(1, 2304, 2), layout).indices
    finally:
        torch.set_default_dtype(torch.float32)
    ranks = torch.randperm(2304, generator=torch.Generator().manual_seed(77)).float() / 2304
    assert torch.equal(under[0], ranks.topk(300).indices.sort().values)


def test_every_token_has_its_chance():
    counts = torch.cat([draw(seed).flatten() for seed in range(400)]).bincount(minlength=64)
    # 400 draws of a quarter: mean 100, standard deviation 8.7.
    assert counts.min() > 60
    assert counts.max() < 140


def test_bad_seed():
    with pytest.raises(ValueError, match="seed must be an integer"):
        RandomTokens(4, seed=-1)


@pytest.mark.parametrize("seed", [-1, 2**63, 0.5])
def test_a_seed_the_generator_cannot_hold(seed):
    with pytest.raises(ValueError, match="seed must be an integer in"):
        RandomTokens(3, seed=seed)
