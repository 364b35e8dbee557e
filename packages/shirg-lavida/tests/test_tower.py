import pytest
import torch
from transformers import SiglipVisionModel

from shirg_lavida.testing import tiny_vision
from shirg_lavida.tower import SiglipTower

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


def test_larger_view_interpolates_positions(tower):
    px = VISION.single_px
    with torch.no_grad():
        features = tower(torch.zeros(1, 3, px, px)).features
    assert features.shape == (1, (px // 4) ** 2, 32)
    # Blank pixels: tokens differ by their positions only.
    assert features.std(dim=1).max() > 1e-3


def test_last_layer_is_gone(tower):
    assert len(tower.siglip.encoder.layers) == VISION.num_hidden_layers - 1


@pytest.mark.parametrize("shape", [(3, 20, 20), (1, 1, 20, 20), (1, 3, 20, 24)])
def test_wrong_pixels(tower, shape):
    with pytest.raises(ValueError, match="square views"):
        tower(torch.zeros(shape))
