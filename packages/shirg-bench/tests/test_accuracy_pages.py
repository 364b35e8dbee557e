"""What the tower sees: the page, or one of three ways to low resolution."""

from __future__ import annotations

import pytest
import torch

from shirg_bench.accuracy.pages import check_model, draw, encode_pages
from shirg_lavida.testing import tiny_lavida
from shirg_lavida.vision.tower import TowerOutput
from shirg_lavida.vision.views import to_unit
from shirg_train.testbed.micro.visual import tower_features
from shirg_train.testbed.pages.tokenizer import build_tokenizer

from .accuracy_setup import DATA


@pytest.fixture(scope="module")
def images(model):
    return draw(model, build_tokenizer(), DATA, "hard", range(2)).images


def fine_detail(pixels):
    """How much neighbouring pixels differ."""
    return float(pixels.diff(dim=-1).abs().mean())


def test_the_page_is_seen_as_in_training(model, images):
    encoded = encode_pages(model, images, "page")
    torch.testing.assert_close(encoded.tokens, model.projector(tower_features(model, images)))
    assert torch.equal(encoded.pixels[:, 0], to_unit(images))


@pytest.mark.parametrize("source", ["blurred", "half", "pooled"])
def test_low_resolution_keeps_the_grid_and_loses_detail(model, images, source):
    page, low = encode_pages(model, images, "page"), encode_pages(model, images, source)
    assert low.tokens.shape == page.tokens.shape
    assert fine_detail(low.pixels) < 0.6 * fine_detail(page.pixels)
    assert abs(float(low.pixels.mean() - page.pixels.mean())) < 0.01
    assert not torch.allclose(low.tokens, page.tokens, atol=1e-2)


def test_interpolated_features_are_between_their_neighbours(model, images, monkeypatch):
    side = model.config.vision.side
    ramp = torch.arange(side).float().repeat(side, 1).reshape(1, side * side, 1).expand(len(images), -1, -1)
    seen = TowerOutput(ramp, ramp[..., 0])
    monkeypatch.setattr("shirg_bench.accuracy.pages.tower_output", lambda *_, **__: seen)
    monkeypatch.setattr(model.projector, "forward", lambda x: x)
    smooth, _, attention = encode_pages(model, images, "pooled")
    assert torch.equal(attention, smooth[..., 0])
    assert smooth.shape == ramp.shape
    # A mean over 2 × 2, interpolated, gives a straight line back except at the border.
    inner = smooth.view(len(images), side, side)[:, :, 1:-1]
    torch.testing.assert_close(inner, ramp.view(len(images), side, side)[:, :, 1:-1])


def test_a_model_of_another_language_is_refused():
    with pytest.raises(ValueError, match=r"asks micro models \(vocabulary \d+, mask id \d+\); the checkpoint has 256"):
        check_model(tiny_lavida(side=4), build_tokenizer())
