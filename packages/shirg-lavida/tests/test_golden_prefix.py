"""What the released LaViDa code computed for tiny models; golden/{prefix,dream_prefix}.safetensors hold its outputs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from shirg_lavida.testing import tiny_dream, tiny_lavida
from shirg_lavida.vision.views import cut_views, normalize, plan_views, to_unit

SIZES = {
    "square": (600, 600),
    "landscape": (900, 600),
    "portrait": (600, 900),
    "wide": (2000, 300),
    "tall": (300, 2000),
}
VISUAL_TOKENS = {"square": 1008, "landscape": 718, "portrait": 728, "wide": 454, "tall": 490}


@pytest.fixture(scope="module")
def golden():
    return load_file(Path(__file__).parent / "golden" / "prefix.safetensors")


@pytest.fixture(scope="module")
def model():
    return tiny_lavida(7, d_model=8, n_heads=2, n_kv_heads=2, mlp_hidden_size=8)


def pattern(width, height):
    y, x = np.mgrid[:height, :width]
    channels = [(x * 3 + y) % 256, (x // 5 * y // 7) % 256, (x * y // 64) % 256]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


@pytest.mark.parametrize("name", SIZES)
def test_views_are_the_released_ones(model, golden, name):
    image = pattern(*SIZES[name])
    pixels = normalize(to_unit(cut_views(image, plan_views(model.config, image.size, "anyres", selecting=False))))
    assert torch.equal(pixels[:, :, ::64, ::64], golden[f"{name}.pixels"])


@pytest.mark.parametrize("name", SIZES)
def test_prefix_is_the_released_one(model, golden, name):
    prefix = model.embed_prompt(torch.tensor([1, 2, -200, 3]), [pattern(*SIZES[name])])
    assert prefix.visual_tokens == (VISUAL_TOKENS[name],)
    assert prefix.shape[1] == VISUAL_TOKENS[name] + 3
    torch.testing.assert_close(prefix[0], golden[f"{name}.embeddings"], rtol=0, atol=2e-5)


def test_dreams_prefix_is_the_released_one():
    model = tiny_dream(7, hidden_size=8, num_attention_heads=2, num_key_value_heads=1, intermediate_size=8)
    released = load_file(Path(__file__).parent / "golden" / "dream_prefix.safetensors")
    prefix = model.embed_prompt(torch.tensor([1, 2, -200, 3]), [pattern(*SIZES["wide"])])
    torch.testing.assert_close(prefix[0], released["wide.embeddings"], rtol=0, atol=2e-5)
