import numpy as np
import pytest
import torch
from PIL import Image

from shirg_core import View, ViewLayout
from shirg_core.images.pixels import PAPER_NORM, pixel_features
from shirg_core.images.views import anyres_views, cut_views, single_view
from shirg_core.scores.edges import layout_edges


def quarters():
    """Red, green over blue, white."""
    image = Image.new("RGB", (80, 40), "red")
    image.paste("lime", (40, 0, 80, 20))
    image.paste("blue", (0, 20, 40, 40))
    image.paste("white", (40, 20, 80, 40))
    return image


def test_single_view_squashes_the_page_to_a_square():
    views = single_view(quarters(), side=4, patch=7)
    assert views.layout == ViewLayout.single(4, 4)
    assert views.pixels[0].shape == (1, 3, 28, 28)
    corners = views.pixels[0][0, :, [0, 0, 27, 27], [0, 27, 0, 27]].T
    torch.testing.assert_close(corners, torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]), atol=0.02, rtol=0)
    assert single_view(quarters()).layout.n_tokens == 2304
    assert single_view(quarters()).pixels[0].shape == (1, 3, 672, 672)


@pytest.mark.parametrize("cut", [single_view, anyres_views])
def test_an_opened_photograph_is_cut_upright(tmp_path, cut):
    exif = Image.Exif()
    exif[0x0112] = 6
    quarters().save(tmp_path / "phone.png", exif=exif)
    upright = cut(quarters().transpose(Image.Transpose.ROTATE_270))
    with Image.open(tmp_path / "phone.png") as opened:
        views = cut(opened)
    assert views.layout == upright.layout
    assert all(torch.equal(a, b) for a, b in zip(views.pixels, upright.pixels, strict=True))


@pytest.mark.parametrize("size", [(100, 60), (60, 100), (1, 1), (300, 7), (3, 900), (2000, 30)])
def test_anyres_views_fit_their_layout(size):
    views = anyres_views(Image.new("RGB", size, (10, 200, 30)))
    assert len(views.pixels) == len(views.layout.views)
    for pixels, view in zip(views.pixels, views.layout.views, strict=True):
        assert pixels.shape == (1, 3, view.h * 14, view.w * 14)
        assert pixels.dtype == torch.float32
    # The border repeats the image, so an even image stays even: no edge where the page ends.
    assert layout_edges(views.pixels, views.layout).max() < 1e-6


def test_crops_show_what_their_boxes_say():
    x = np.linspace(0, 1, 384)
    ramps = np.stack([np.tile(x, (384, 1)), np.tile(x[:, None], (1, 384)), np.zeros((384, 384))], axis=-1)
    views = cut_views(Image.fromarray((ramps * 255).astype(np.uint8)), ViewLayout.anyres(2, 2, 4), patch=14)
    boxes = views.layout.boxes()
    features = torch.cat(
        [p.unfold(2, 14, 14).unfold(3, 14, 14).mean(dim=(4, 5)).flatten(2) for p in views.pixels], dim=2
    )
    centres = torch.stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2])
    torch.testing.assert_close(features[0, :2], centres, atol=0.01, rtol=0)


def test_box_outside_the_image_repeats_its_border():
    layout = ViewLayout(views=(View(2, 2, (-1.0, 0.0, 1.0, 1.0)), View(1, 1, (2.0, 2.0, 3.0, 3.0))))
    views = cut_views(quarters(), layout, patch=4)
    left = views.pixels[0][0, :, :, :4]
    torch.testing.assert_close(left[:, 0, :], torch.tensor([1.0, 0, 0])[:, None].expand(3, 4))
    torch.testing.assert_close(views.pixels[1], torch.ones(1, 3, 4, 4))


def test_features_by_hand():
    image = Image.new("RGB", (8, 8), "white")
    image.paste("black", (0, 0, 4, 8))
    image.paste("white", (0, 0, 4, 4))
    features = pixel_features(cut_views(image, ViewLayout.single(2, 2), patch=4))
    assert features.shape == (1, 4, 3 * 16 + 6)
    blank, black = features[0, 1], features[0, 2]
    assert blank[:48].abs().max() == 0
    assert blank[-1] == pytest.approx(PAPER_NORM)
    torch.testing.assert_close(black[:48], torch.full((48,), -1 / 48**0.5))
    assert black[:48].norm() == pytest.approx(1.0, abs=1e-5)
    # Per 4×4 patch: ∂x is 1/2 in the one column at the edge, ∂y likewise in the row above.
    assert black[48] == pytest.approx(4 * ((4 * 0.5) / 16) ** 0.5)
    assert black[49] == pytest.approx(4 * ((4 * 0.5) / 16) ** 0.5)


def test_blank_patches_are_alike_and_shortest():
    page = Image.new("RGB", (56, 56), (250, 248, 240))
    page.paste("black", (20, 20, 25, 40))
    features = pixel_features(single_view(page, side=4))[0]
    norms = features.norm(dim=-1)
    assert int((norms > norms.min() * 1.5).sum()) < 10
    assert torch.equal(features[0], features[15])
