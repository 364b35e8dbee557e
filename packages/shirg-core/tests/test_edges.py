import math

import pytest
import torch

from shirg_core import View, ViewLayout
from shirg_core.scores.canny import canny_edges
from shirg_core.scores.edges import edge_density, ink_recall, layout_edges, luma


def test_single_bright_pixel_by_hand():
    pixels = torch.zeros(1, 1, 4, 4)
    pixels[0, 0, 1, 1] = 1.0
    # |Δ| is 4 at the pixel and 1 at its four neighbours, two of which lie in other 2×2 patches.
    expected = torch.tensor([[(4 + 1 + 1) / 4, 1 / 4, 1 / 4, 0.0]])
    torch.testing.assert_close(edge_density(pixels, 2, 2), expected)


def test_borders_are_replicated():
    ramp = torch.tensor([0.0, 0.1, 0.2, 0.3]).expand(1, 1, 4, 4)
    # A ramp has no Laplacian inside; at a replicated border one neighbour repeats the pixel itself.
    torch.testing.assert_close(edge_density(ramp, 1, 4), torch.tensor([[0.1, 0.0, 0.0, 0.1]]))
    assert edge_density(torch.ones(1, 3, 6, 6), 3, 3).abs().max() < 1e-6


def test_colour_is_weighed_as_rec_601_luma():
    for channel, weight in enumerate((0.299, 0.587, 0.114)):
        pixels = torch.zeros(1, 3, 3, 3)
        pixels[0, channel, 1, 1] = 1.0
        torch.testing.assert_close(edge_density(pixels, 1, 1), torch.tensor([[8 * weight / 9]]))
    grey = torch.rand(1, 1, 5, 5)
    torch.testing.assert_close(luma(grey.expand(1, 3, 5, 5)), grey)


@pytest.mark.parametrize("operator", ["laplacian", "canny"])
def test_tokens_are_in_raster_order_and_images_independent(operator):
    pixels = torch.zeros(2, 3, 24, 36)
    pixels[1, :, 13:19, 26:32] = 1.0
    density = edge_density(pixels, 2, 3, operator=operator)
    assert density.shape == (2, 6)
    assert density.dtype == torch.float32
    assert int(density[1].argmax()) == 5
    assert density[0].abs().max() == 0
    torch.testing.assert_close(edge_density(pixels[1:], 2, 3, operator=operator), density[1:])


def test_half_precision_is_computed_in_float32():
    pixels = torch.rand(1, 3, 8, 8).bfloat16()
    torch.testing.assert_close(edge_density(pixels, 2, 2), edge_density(pixels.float(), 2, 2), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("shape", "h", "w"), [((3, 4, 4), 2, 2), ((1, 2, 4, 4), 2, 2), ((1, 3, 5, 4), 2, 2), ((1, 3, 4, 4), 0, 2)]
)
def test_bad_shapes_are_refused(shape, h, w):
    with pytest.raises(ValueError, match=r"pixels"):
        edge_density(torch.rand(shape), h, w)


def test_bad_dtype_and_operator_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        edge_density(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), 2, 2)
    with pytest.raises(ValueError, match="sobel"):
        edge_density(torch.zeros(1, 3, 4, 4), 2, 2, operator="sobel")


def test_layout_edges_takes_each_view_by_itself():
    layout = ViewLayout(views=(View(2, 2), View(1, 3)))
    crops = [torch.rand(2, 3, 8, 8), torch.rand(2, 3, 4, 12)]
    density = layout_edges(crops, layout)
    torch.testing.assert_close(density[:, :4], edge_density(crops[0], 2, 2))
    torch.testing.assert_close(density[:, 4:], edge_density(crops[1], 1, 3))
    with pytest.raises(ValueError, match="2 views, got pixels of 1"):
        layout_edges(crops[:1], layout)


def test_canny_draws_a_step_as_one_thin_line():
    image = torch.zeros(1, 1, 20, 20)
    image[..., 9:] = 1.0
    edges = canny_edges(image)[0, 0]
    assert edges.sum(dim=1).tolist() == [1] * 20
    assert int(edges[0].nonzero()) in (8, 9)
    assert torch.equal(canny_edges(image.transpose(2, 3))[0, 0], edges.T)
    assert not canny_edges(image * 0.02).any()


def test_canny_hysteresis_keeps_weak_pixels_joined_to_strong_ones():
    image = torch.zeros(1, 1, 40, 20)
    image[0, 0, :, 10:] = torch.linspace(1.1, 0.5, 40)[:, None]  # the step fades from strong to weak, row by row
    unjoined, few, all_of_it = (
        int(canny_edges(image, low=0.1, high=0.5, hysteresis_rounds=rounds).sum()) for rounds in (0, 5, 40)
    )
    assert 0 < unjoined < 12
    assert few == unjoined + 5
    assert all_of_it == 40


def test_canny_finds_diagonals_and_checks_thresholds():
    rows, cols = torch.meshgrid(torch.arange(24), torch.arange(24), indexing="ij")
    for image in ((cols > rows).float(), (cols + rows > 24).float()):
        edges = canny_edges(image[None, None])[0, 0]
        assert (edges[6:18].sum(dim=1) >= 1).all()
        assert edges.float().mean() < 0.12
    with pytest.raises(ValueError, match="low"):
        canny_edges(torch.zeros(1, 1, 4, 4), low=0.3, high=0.2)


def test_ink_recall_by_hand():
    layout = ViewLayout(views=(View(1, 4, valid=[[True, True, True, False]]),))
    edges = torch.tensor([[1.0, 2.0, 1.0, 50.0], [0.0, 0.0, 0.0, 9.0]])
    kept = torch.tensor([[True, True, False, False], [True, False, False, False]])
    torch.testing.assert_close(ink_recall(edges, kept, layout), torch.tensor([0.75, 1.0]))
    edges[0, 3], edges[1, 0] = math.nan, math.nan
    recall = ink_recall(edges, kept, layout)
    assert recall[0] == 0.75, "padding counts on neither side, whatever it holds"
    assert recall[1].isnan()
