import torch

from shirg_lavida.testing import tiny_lavida


def test_weights_depend_on_the_seed_only():
    one, again, other = (tiny_lavida(seed, side=6, patch_size=4) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_default_geometry_is_the_real_one():
    config = tiny_lavida().config
    assert (config.vision.side, config.pooled_side, config.vision.image_size, config.vision.single_px) == (
        27,
        14,
        384,
        672,
    )
    assert config.canvases == ((384, 768), (768, 384), (768, 768), (1152, 384), (384, 1152))


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    tiny_lavida(0, side=6, patch_size=4)
    assert torch.equal(before, torch.get_rng_state())
