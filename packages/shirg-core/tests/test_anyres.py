"""LaViDa's five grids, its padding, and where every token lies in the original image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shirg_core import anyres_layout
from shirg_core.anyres import LAVIDA_CANVASES, best_canvas, place, unpad_margins

SIZES = st.tuples(st.integers(1, 4000), st.integers(1, 4000))


@pytest.mark.parametrize(
    ("size", "canvas"),
    [
        ((672, 672), (768, 768)),
        ((768, 768), (768, 768)),
        ((3000, 3000), (768, 768)),
        ((900, 600), (768, 768)),  # 768 × 512 beats 576 × 384 on either strip
        ((800, 400), (384 * 2, 384)),  # equal pixels on 768 × 384 and 768 × 768: the smaller canvas
        ((400, 800), (384, 384 * 2)),
        ((3000, 1000), (384 * 3, 384)),
        ((1000, 3000), (384, 384 * 3)),
        ((384, 384), (384, 768)),  # nothing to gain from more pixels; the first of the equal smallest
    ],
)
def test_best_canvas(size, canvas):
    assert best_canvas(size) == canvas


@pytest.mark.parametrize(
    ("size", "views"), [((672, 672), 5), ((800, 400), 3), ((400, 800), 3), ((3000, 1000), 4), ((1000, 3000), 4)]
)
def test_each_of_the_five_grids(size, views):
    layout = anyres_layout(size)
    assert len(layout.views) == views
    assert {(v.h, v.w) for v in layout.views} == {(27, 27)}
    assert layout.views[0].box == (0.0, 0.0, 1.0, 1.0)
    assert layout.views[0].valid is None


def test_a_square_image_has_no_padding_and_regular_crops():
    layout = anyres_layout((672, 672))
    assert layout.n_tokens == layout.n_selectable == 3645
    assert [v.box for v in layout.views[1:]] == [(0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5), (0, 0.5, 0.5, 1), (0.5, 0.5, 1, 1)]


def test_unpadding_counts_are_lavidas():
    """Pooled to 14 × 14 per view: 1008 tokens for a square image, 718 for 900 × 600, a newline ending each row."""

    def pooled_tokens(size):
        rows, cols = unpad_margins(size, (28, 28))
        return 196 + (28 - 2 * rows) * (28 - 2 * cols + 1)

    assert pooled_tokens((672, 672)) == 1008
    assert pooled_tokens((900, 600)) == 718


def test_padding_of_a_wide_image():
    """900 × 600 becomes 768 × 512 on 768 × 768: 128 px of border above and below, 9 of 54 rows each."""
    placement = place((900, 600), (768, 768))
    assert (placement.image, placement.offset) == ((768, 512), (0, 128))
    assert unpad_margins((900, 600), (54, 54)) == (9, 0)
    layout = anyres_layout((900, 600))
    upper, lower = layout.views[1], layout.views[3]
    assert upper.box == (0, -128 / 512, 0.5, 256 / 512)
    assert lower.box == (0, 256 / 512, 0.5, 640 / 512)
    assert [all(upper.valid[r * 27 : r * 27 + 27]) for r in range(27)] == [False] * 9 + [True] * 18
    assert [any(lower.valid[r * 27 : r * 27 + 27]) for r in range(27)] == [True] * 18 + [False] * 9
    assert layout.n_selectable == 729 + 36 * 54


def test_padding_of_a_tall_image():
    layout = anyres_layout((600, 900))
    left, right = layout.views[1], layout.views[2]
    assert left.valid[:27] == (False,) * 9 + (True,) * 18
    assert right.valid[:27] == (True,) * 18 + (False,) * 9
    assert layout.n_selectable == 729 + 36 * 54


@given(size=SIZES)
def test_the_scaled_image_fits_its_canvas_and_keeps_its_shape(size):
    canvas = best_canvas(size)
    assert canvas in LAVIDA_CANVASES
    placement = place(size, canvas)
    for axis in (0, 1):
        assert 1 <= placement.image[axis] <= canvas[axis]
        border = canvas[axis] - placement.image[axis]
        assert placement.offset[axis] == border // 2
    assert canvas[0] == placement.image[0] or canvas[1] == placement.image[1]
    scale = min(canvas[0] / size[0], canvas[1] / size[1])
    assert all(abs(placement.image[a] - size[a] * scale) <= 1 for a in (0, 1))


@given(size=SIZES)
def test_valid_tokens_show_the_image_and_padding_does_not(size):
    """To within one token, the resolution of the unpadding."""
    layout = anyres_layout(size, side=7)
    for token, (x0, y0, x1, y1) in enumerate(layout.boxes().tolist()):
        x, y, w, h = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
        if layout.valid_mask()[token]:
            assert -w <= x <= 1 + w
            assert -h <= y <= 1 + h
        else:
            assert not (w < x < 1 - w and h < y < 1 - h)


@given(size=SIZES, x=st.floats(0, 1), y=st.floats(0, 1))
def test_a_point_of_the_image_lies_in_a_token_of_the_base_view_and_of_a_crop(size, x, y):
    layout = anyres_layout(size, side=9)
    left, top, right, bottom = layout.boxes().double().unbind(-1)
    inside = (left - 1e-5 <= x) & (x <= right + 1e-5) & (top - 1e-5 <= y) & (y <= bottom + 1e-5)
    assert len(set(layout.view_ids()[inside].tolist())) >= 2


@pytest.mark.parametrize("size", [(1, 1), (20000, 1), (1, 20000), (20000, 20000), (13, 9999)])
def test_extreme_images(size):
    layout = anyres_layout(size)
    assert layout.n_tokens == 729 * len(layout.views)
    assert 729 <= layout.n_selectable <= layout.n_tokens


def test_other_crops():
    layout = anyres_layout((900, 600), side=9, crop_px=100, canvases=[(200, 100), (100, 200)])
    assert [(v.h, v.w) for v in layout.views] == [(9, 9)] * 3


def test_bad_geometry_is_refused():
    with pytest.raises(ValueError, match="0 × 5"):
        anyres_layout((0, 5))
    with pytest.raises(ValueError, match="candidate"):
        best_canvas((5, 5), [])
    with pytest.raises(ValueError, match="whole crops of 100"):
        anyres_layout((5, 5), crop_px=100)
