import numpy as np
import pytest

from shirg_train.testbed.pages.bitmaps import CAP_HEIGHT_PX, tiny_glyphs
from shirg_train.testbed.pages.fonts import FACE_NAMES, FACES, TINY, load_atlas, render_atlas
from shirg_train.testbed.pages.words import ALPHABET


def glyph_image(face, character):
    atlas = load_atlas()
    g = FACE_NAMES.index(face) * len(ALPHABET) + ALPHABET.index(character)
    span = slice(atlas.first[g], atlas.first[g] + atlas.count[g])
    image = np.zeros((48, 64))
    image[atlas.dy[span] + 4, atlas.dx[span] + 4] = atlas.alpha[span]
    return image


@pytest.mark.parametrize("face", FACE_NAMES)
def test_every_figure_and_capital_of_a_face_looks_different(face):
    images = [glyph_image(face, ch).ravel() for ch in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    assert all(image.any() for image in images)
    for i, one in enumerate(images):
        for j, other in enumerate(images[:i]):
            # Figures must be told apart one by one; letters, O and Q say, are read in words.
            assert np.abs(one - other).sum() >= (255 if i < 10 and j < 10 else 200)


def test_faces_are_listed_by_size_and_fit_their_advance():
    atlas = load_atlas()
    assert atlas.cap_height[FACE_NAMES.index(TINY)] == CAP_HEIGHT_PX
    assert (np.diff(atlas.cap_height) >= 0).all()
    right = atlas.boxes[:, 2].reshape(len(FACES), -1)
    assert (right <= atlas.advance).all()


def test_tiny_small_letters_look_like_capitals():
    glyphs = tiny_glyphs()
    assert np.array_equal(glyphs[ALPHABET.index("q")], glyphs[ALPHABET.index("Q")])


def test_the_shipped_atlas_is_what_the_fonts_render():
    for package in {package for package, _, _ in FACES.values() if package}:
        pytest.importorskip(package)
    shipped, fresh = load_atlas(), render_atlas()
    np.testing.assert_array_equal(shipped.cap_height, fresh.cap_height)
    # Rasterisers differ in the last grey levels from version to version, not in what they draw.
    assert np.abs(shipped.advance - fresh.advance).max() <= 1
    assert shipped.alpha.sum() == pytest.approx(fresh.alpha.sum(), rel=0.02)
