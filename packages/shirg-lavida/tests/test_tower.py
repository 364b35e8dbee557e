from dataclasses import replace

import pytest
import torch
from transformers import SiglipVisionModel

from shirg_lavida.testing import tiny_vision
from shirg_lavida.vision.tower import SiglipTower

VISION = tiny_vision(side=5, patch_size=4)


@pytest.fixture(scope="module")
def tower():
    torch.manual_seed(0)
    return SiglipTower(VISION).eval()


def whole_siglip(tower):
    """The tower as trained, with its last layer; eager attention, so that attention maps come out."""
    siglip = SiglipVisionModel._from_config(VISION.to_transformers(), attn_implementation="eager").eval()
    siglip.load_state_dict({**siglip.state_dict(), **tower.siglip.state_dict()})
    return siglip


def test_features_are_the_second_to_last_hidden_states(tower):
    pixels = torch.randn(2, 3, VISION.image_size, VISION.image_size)
    with torch.no_grad():
        expected = whole_siglip(tower)(pixels, output_hidden_states=True).hidden_states[-2]
        features, attention = tower(pixels)
    assert features.shape == (2, 25, 32)
    assert attention is None
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5)


def test_attention_received_in_the_last_layer_that_runs(tower):
    pixels = torch.randn(2, 3, VISION.image_size, VISION.image_size)
    with torch.no_grad():
        maps = whole_siglip(tower)(pixels, output_attentions=True).attentions[-2]
        received = tower(pixels, attention=True).attention
    torch.testing.assert_close(received, maps.mean(dim=(1, 2)), rtol=0, atol=1e-6)
    torch.testing.assert_close(received.sum(dim=1), torch.ones(2))


def test_attention_received_in_any_layer_that_runs(tower):
    pixels = torch.randn(2, 3, VISION.single_px, VISION.single_px)
    layers = VISION.num_hidden_layers
    with torch.no_grad():
        maps = whole_siglip(tower)(pixels, output_attentions=True, interpolate_pos_encoding=True).attentions
        for layer in (*range(-layers, -1), *range(layers - 1)):
            seen = tower(pixels, attention=True, layer=layer)
            torch.testing.assert_close(seen.attention, maps[layer].mean(dim=(1, 2)), rtol=0, atol=1e-6)
            assert torch.equal(seen.features, tower(pixels).features)
        for layer in (-1, layers - 1, -layers - 1):
            with pytest.raises(ValueError, match=f"attention_layer must be in .*, got {layer}"):
                tower(pixels, attention=True, layer=layer)


@pytest.mark.parametrize("act", ["gelu_pytorch_tanh", "gelu"])
@pytest.mark.parametrize("px", [VISION.single_px, 12])
def test_larger_and_smaller_views_interpolate_positions(px, act):
    vision = replace(VISION, hidden_act=act)
    torch.manual_seed(1)
    tower, whole = SiglipTower(vision).eval(), SiglipVisionModel(vision.to_transformers()).eval()
    whole.load_state_dict({**whole.state_dict(), **tower.siglip.state_dict()})
    pixels = torch.randn(2, 3, px, px)
    with torch.no_grad():
        asked = whole(pixels, output_hidden_states=True, interpolate_pos_encoding=True)
        torch.testing.assert_close(tower(pixels).features, asked.hidden_states[-2], rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("px", [VISION.single_px, 12])
def test_positions_are_interpolated_before_they_are_rounded(dtype, px):
    embeddings = SiglipTower(VISION).to(dtype).siglip.embeddings
    blank = torch.zeros(1, 3, px, px, dtype=dtype)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    with torch.no_grad():
        seen = embeddings(blank)
        precise = embeddings.to(wide)(blank.to(wide))
    assert seen.dtype == dtype
    assert torch.equal(seen, precise.to(dtype))


def test_blank_tokens_of_a_larger_view_differ_by_position(tower):
    px = VISION.single_px
    with torch.no_grad():
        features = tower(torch.zeros(1, 3, px, px)).features
    assert features.shape == (1, (px // 4) ** 2, 32)
    assert features.std(dim=1).max() > 1e-3


def test_last_layer_is_gone(tower):
    assert len(tower.siglip.encoder.layers) == VISION.num_hidden_layers - 1


def test_fresh_weights_spread_as_transformers_does():
    vision = replace(VISION, hidden_size=128, intermediate_size=512, patch_size=8, image_size=128)
    torch.manual_seed(2)
    ours, theirs = SiglipTower(vision).siglip, SiglipVisionModel(vision.to_transformers())
    drawn = dict(theirs.named_parameters())
    for name, weight in ours.named_parameters():
        assert weight.shape == drawn[name].shape
        torch.testing.assert_close(weight.mean(), drawn[name].mean(), rtol=0, atol=5e-3, msg=name)
        # Theirs is a seventh wider in the patches: divided by the standard deviation of a cut normal, but not cut.
        torch.testing.assert_close(weight.std(), drawn[name].std(), rtol=0.15, atol=1e-6, msg=name)


def test_unknown_activation():
    with pytest.raises(ValueError, match="hidden_act must be one of gelu_pytorch_tanh, gelu, got 'swish'"):
        SiglipTower(replace(VISION, hidden_act="swish"))


def test_heads_that_do_not_divide_the_channels():
    with pytest.raises(ValueError, match="hidden_size 32 is not a multiple of num_attention_heads 5"):
        SiglipTower(replace(VISION, num_attention_heads=5))


@pytest.mark.parametrize("shape", [(3, 20, 20), (1, 1, 20, 20), (1, 3, 20, 24)])
def test_wrong_pixels(tower, shape):
    with pytest.raises(ValueError, match="square views"):
        tower(torch.zeros(shape))
