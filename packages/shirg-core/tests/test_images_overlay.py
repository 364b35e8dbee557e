import itertools

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from PIL import Image

from shirg_core import Selection, View, ViewLayout, anyres_layout
from shirg_core.images import load, overlay
from shirg_core.plot import Panel, comparison_figure, save_figure, selection_figure


def selection_of(layout, indices):
    n = layout.n_tokens
    scores = torch.arange(n, dtype=torch.float32)[None] / n
    regions = layout.view_ids()[None].masked_fill(~layout.valid_mask()[None], -1)
    return Selection(torch.tensor([indices]), scores, regions, torch.zeros(1, len(indices), 2))


def test_token_map_by_hand():
    tokens = overlay.token_map(ViewLayout.single(2, 3), (0,), (6, 4))
    assert tokens.tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2


def test_a_pixel_of_a_token_map_lies_in_its_tokens_box():
    layout = ViewLayout.anyres(1, 2, 3)
    tokens = overlay.token_map(layout, (1, 2), (12, 6))
    for y, x in itertools.product(range(6), range(12)):
        left, top, right, bottom = layout.boxes()[tokens[y, x]].tolist()
        assert left < (x + 0.5) / 12 < right
        assert top < (y + 0.5) / 6 < bottom


def test_padded_layout_covers_every_pixel_of_the_image():
    layout = anyres_layout((900, 600))
    tokens = overlay.token_map(layout, range(1, len(layout.views)), (90, 60))
    assert tokens.min() >= 0
    assert layout.valid_mask()[torch.from_numpy(tokens)].all()
    alone = ViewLayout(views=(View(2, 2, (0.0, 0.0, 0.5, 0.5)),))
    assert (overlay.token_map(alone, (0,), (4, 4)) == -1).sum() == 12


def test_a_photograph_is_drawn_upright(tmp_path):
    page = Image.new("RGB", (60, 20), "white")
    page.paste("red", (0, 0, 30, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    page.save(tmp_path / "phone.png", exif=exif)
    layout = ViewLayout.single(3, 3)
    selection = selection_of(layout, [0, 1, 5])
    upright = page.transpose(Image.Transpose.ROTATE_270)
    with Image.open(tmp_path / "phone.png") as opened:
        for draw in (
            lambda image: selection_figure(image, layout, selection, "one"),
            lambda image: comparison_figure(image, layout, [Panel("one", selection)], "two"),
        ):
            drawn, right = (figure.canvas.buffer_rgba() for figure in map(_rendered, (draw(opened), draw(upright))))
            assert np.array_equal(drawn, right)


def _rendered(figure):
    figure.canvas.draw()
    return figure


def test_kept_patches_stay_clear_and_others_are_dimmed():
    page = np.random.default_rng(0).random((4, 4, 3))
    tokens = overlay.token_map(ViewLayout.single(2, 2), (0,), (4, 4))
    painted = overlay.paint_kept(page, tokens, np.array([True, False, False, True]))
    np.testing.assert_array_equal(painted[:2, :2], page[:2, :2])
    np.testing.assert_array_equal(painted[2:, 2:], page[2:, 2:])
    assert painted[:2, 2:].std() < 0.5 * page[:2, 2:].std()


def test_outlines_run_between_regions_only():
    tokens = overlay.token_map(ViewLayout.single(1, 3), (0,), (6, 2))
    blank = np.ones((2, 6, 3))
    lined = overlay.paint_outlines(blank, tokens, np.array([0, 0, 1]))
    assert (lined != blank).any(axis=2).tolist() == [[False] * 4 + [True, False]] * 2


def test_scores_span_the_colours_and_padding_has_none():
    tokens = overlay.token_map(ViewLayout.single(1, 3), (0,), (3, 1))
    painted = overlay.paint_scores(tokens, np.array([2.0, 5.0, -9.0]), np.array([True, True, False]))[0]
    assert painted[0, 2] > painted[0, 0]
    assert painted[1, 0] > 0.9
    np.testing.assert_allclose(painted[2], overlay.DIM_COLOUR)


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (600, 800), (5, 4000)])
def test_display_size_is_bounded(size):
    shown = overlay.display_size(size)
    assert max(shown) == overlay.LONG_SIDE_PX
    assert min(shown) >= overlay.SHORT_SIDE_PX


@pytest.mark.parametrize("layout", [ViewLayout.single(4, 4), ViewLayout.anyres(1, 2, 3)], ids=["single", "anyres"])
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_figures_are_drawn(tmp_path, layout, suffix):
    image = Image.new("RGB", (40, 30), "white")
    selection = selection_of(layout, [0, 3, layout.n_tokens - 1])
    one = selection_figure(image, layout, selection, "title with $ and _")
    many = comparison_figure(image, layout, [Panel("a", selection)] * 5, "five")
    for figure in (one, many):
        save_figure(figure, tmp_path / f"out.{suffix}")
        assert (tmp_path / f"out.{suffix}").stat().st_size > 1000
    assert len(one.axes) == (3 if len(layout.views) == 1 else 5)
    assert len(many.axes) == 5
    words = " ".join(text.get_text() for text in one.findobj(Text))
    assert "dropped: dimmed" in words
    assert ("lines: regions" in words) == (len(layout.views) > 1)


def test_a_figure_takes_what_a_library_user_has(tmp_path):
    layout = ViewLayout.single(2, 2)
    selection = selection_of(layout, [0, 3])
    page = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    clear = np.dstack([page, np.full((20, 30), 255, dtype=np.uint8)])
    Image.fromarray(page).save(tmp_path / "page.png")
    drawn = [
        np.asarray(_rendered(selection_figure(image, layout, selection, "t")).canvas.buffer_rgba())
        for image in (
            Image.fromarray(page), Image.fromarray(clear), clear, page, page / 255, torch.from_numpy(page),
            tmp_path / "page.png", str(tmp_path / "page.png"),
        )
    ]  # fmt: skip
    assert all(np.array_equal(drawn[0], each) for each in drawn[1:])
    see_through = np.dstack([page, np.zeros((20, 30), dtype=np.uint8)])
    assert np.asarray(load.as_image(see_through)).min() == 255


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((2, 3, 4, 5), dtype=np.uint8), r"\[H, W, 3\].*uint8 \[2, 3, 4, 5\]"),
        (np.zeros((3, 20, 30), dtype=np.uint8), r"uint8 \[3, 20, 30\]"),
        (np.full((4, 4), 2.0), r"floats in \[0, 1\], got float64 \[4, 4\]"),
        (np.full((4, 4), np.nan), "got float64"),
        (np.zeros((0, 4), dtype=np.uint8), r"uint8 \[0, 4\]"),
        (None, "got object"),
        ([[1, 2], [3]], "got list"),
        (torch.zeros(4, 4, dtype=torch.bfloat16), "got Tensor"),
        ("nowhere.png", "no such file"),
    ],
)
def test_what_is_no_image_is_one_line(picture, message):
    layout = ViewLayout.single(2, 2)
    with pytest.raises(ValueError, match=message):
        selection_figure(picture, layout, selection_of(layout, [0]))


def test_a_layout_of_other_tokens_is_refused():
    selection = selection_of(ViewLayout.single(2, 2), [0])
    image = Image.new("RGB", (8, 8))
    for layout, message in ((ViewLayout.single(3, 3), "of 4 tokens, got one of 9"), ((2, 2), "ViewLayout, got tuple")):
        with pytest.raises(ValueError, match=message):
            selection_figure(image, layout, selection)
        with pytest.raises(ValueError, match=message):
            comparison_figure(image, layout, [Panel("one", selection)], "title")


def test_a_figure_is_saved_under_any_name_of_a_format(tmp_path):
    layout = ViewLayout.single(2, 2)
    figure = selection_figure(Image.new("RGB", (8, 8)), layout, selection_of(layout, [0]))
    save_figure(figure, str(tmp_path / "kept.PNG"))
    assert (tmp_path / "kept.PNG").read_bytes() == figure._repr_png_()
    for name in ("kept.xyz", "kept"):
        with pytest.raises(ValueError, match=rf"must end in one of .*\.png.*got '.*{name}'"):
            save_figure(figure, tmp_path / name)
