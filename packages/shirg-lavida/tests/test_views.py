import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shirg_core.images import upright_rgb
from shirg_lavida.config import LavidaConfig
from shirg_lavida.testing import tiny_raw_config, tiny_vision
from shirg_lavida.vision.views import cut_views, normalize, plan_views, to_unit

REAL = LavidaConfig.from_checkpoint(tiny_raw_config(tiny_vision()), tiny_vision())
POOLER = LavidaConfig.from_checkpoint(tiny_raw_config(tiny_vision(), mm_projector_type="pooler"), tiny_vision())


def grids(plan):
    return [(view.h, view.w) for view in plan.layout.views]


@pytest.mark.parametrize(
    ("views", "selecting", "expected"),
    [
        ("anyres", False, [(14, 14)] * 5),
        ("anyres", True, [(27, 27)] * 5),
        ("anyres_full", False, [(27, 27)] * 5),
        ("pooled_base", True, [(14, 14)] + [(27, 27)] * 4),
        ("single", True, [(48, 48)]),
        ("single384", False, [(27, 27)]),
    ],
)
def test_grids_of_a_square_image(views, selecting, expected):
    plan = plan_views(REAL, (600, 600), views, selecting=selecting)
    assert grids(plan) == expected
    assert plan.px == (672 if views == "single" else 384)
    assert [view.pinned for view in plan.layout.views] == [views == "pooled_base"] + [False] * (len(expected) - 1)


@pytest.mark.parametrize(
    ("size", "canvas", "mosaic"),
    [
        ((600, 600), (768, 768), (2, 2)),
        ((800, 400), (768, 384), (1, 2)),
        ((400, 800), (384, 768), (2, 1)),
        ((2000, 300), (1152, 384), (1, 3)),
        ((300, 2000), (384, 1152), (3, 1)),
    ],
)
def test_all_five_canvases(size, canvas, mosaic):
    plan = plan_views(REAL, size, "anyres", selecting=False)
    assert (plan.canvas, plan.mosaic, len(plan.layout.views)) == (canvas, mosaic, 1 + mosaic[0] * mosaic[1])


def test_pooler_projects_to_13_and_is_not_pooled_again():
    plan = plan_views(POOLER, (600, 600), "anyres", selecting=False)
    assert (grids(plan)[0], plan.pooled) == ((13, 13), 0)
    for views in ("single", "pooled_base"):
        with pytest.raises(ValueError, match=views):
            plan_views(POOLER, (600, 600), views, selecting=True)


def test_unknown_views():
    with pytest.raises(ValueError, match="anyres, anyres_full"):
        plan_views(REAL, (9, 9), "anyres2", selecting=False)


@given(width=st.integers(1, 3000), height=st.integers(1, 3000))
@settings(max_examples=40, deadline=None)
def test_views_fit_their_layout(width, height):
    plan = plan_views(REAL, (width, height), "anyres", selecting=False)
    rows, cols = plan.mosaic
    assert plan.canvas == (cols * 384, rows * 384)
    assert plan.layout.views[0].n_selectable == 196
    valid = plan.layout.valid_mask()[196:].reshape(rows, cols, 14, 14).permute(0, 2, 1, 3).reshape(rows * 14, cols * 14)
    # What is left after unpadding is one rectangle.
    assert valid.sum() == valid.any(1).sum() * valid.any(0).sum()


def test_cuts_come_base_first_then_crops_in_raster_order():
    plan = plan_views(REAL, (768, 768), "anyres", selecting=False)
    array = np.random.default_rng(0).integers(0, 256, (768, 768, 3), dtype=np.uint8)
    image = Image.fromarray(array)
    cuts = cut_views(image, plan)
    assert cuts.shape == (5, 3, 384, 384)
    assert cuts.dtype == torch.uint8
    base = np.asarray(image.resize((384, 384), Image.Resampling.BICUBIC))
    # The canvas has the image's own size, so that crops are its pixels.
    for cut, expected in zip(
        cuts, [base, *(array[r : r + 384, c : c + 384] for r in (0, 384) for c in (0, 384))], strict=True
    ):
        assert torch.equal(cut.permute(1, 2, 0), torch.from_numpy(expected.copy()))


def test_border_is_black_and_the_image_centred():
    plan = plan_views(REAL, (1152, 96), "anyres", selecting=False)
    middle = cut_views(Image.new("RGB", (1152, 96), "white"), plan)[2]
    assert middle[:, 144:240].min() == 255
    assert middle[:, :144].max() == 0
    assert middle[:, 240:].max() == 0


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "CMYK"])
def test_any_mode(mode):
    plan = plan_views(REAL, (40, 30), "single384", selecting=False)
    assert cut_views(upright_rgb(Image.new(mode, (40, 30))), plan).shape == (1, 3, 384, 384)


def test_normalisation_rounds_as_numpy_does():
    levels = torch.arange(256, dtype=torch.uint8)
    unit = (np.arange(256).astype(np.float64) * (1 / 255)).astype(np.float32)
    expected = (unit - np.float32(0.5)) / np.float32(0.5)
    assert torch.equal(normalize(to_unit(levels)), torch.from_numpy(expected))


def test_modes_that_plain_conversion_spoils_are_read_as_files_are():
    plan = plan_views(REAL, (2, 2), "single384", selecting=False)
    grey = Image.fromarray(np.full((2, 2), 0x8080, dtype=np.uint16))
    assert cut_views(upright_rgb(grey), plan).unique().tolist() == [128]
    assert cut_views(upright_rgb(Image.new("RGBA", (2, 2), (0, 0, 0, 0))), plan).unique().tolist() == [255]


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_images_are_converted_as_released(mode):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)).convert(mode)
    released = image.convert("RGB").resize((384, 384), Image.Resampling.BICUBIC)
    (view,) = cut_views(upright_rgb(image), plan_views(REAL, (40, 30), "single384", selecting=False))
    assert torch.equal(view.permute(1, 2, 0), torch.from_numpy(np.array(released)))
