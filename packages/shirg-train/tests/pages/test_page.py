import numpy as np
import pytest

from shirg_train.testbed.pages.batch import IGNORE
from shirg_train.testbed.pages.config import KINDS, SMALL_PRINT, PageConfig, split_seed
from shirg_train.testbed.pages.fonts import FACE_NAMES
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.words import ALPHABET, LABELS

LARGE_PRINT = ("serif-12", "roboto-14", "serif-18", "roboto-24", "source-32")

EASY = PageConfig(size=224, patch=14, tier="easy")
HARD = PageConfig(size=224, patch=14, tier="hard")


@pytest.fixture(scope="module")
def pages():
    return {config.tier: draw_pages(config, [split_seed("test", i) for i in range(48)]) for config in (EASY, HARD)}


@pytest.mark.parametrize("config", [EASY, HARD], ids=lambda c: str(c.tier))
def test_a_page_depends_on_its_seed_alone(config):
    one, many = draw_pages(config, [11]), draw_pages(config, [3, 11, 2**41 + 5])
    for name in ("images", "question_labels", "answer_codes", "answer_patches", "chars", "owners", "places"):
        np.testing.assert_array_equal(getattr(one, name)[0], getattr(many, name)[1], err_msg=name)
    assert not np.array_equal(many.images[0], many.images[2])


@pytest.mark.parametrize(
    "config",
    [
        PageConfig(size=112, patch=8, tier="easy", facts=(6, 8)),
        PageConfig(size=128, patch=8, tier="hard", facts=(6, 10), channels=3),
        PageConfig(size=336, patch=14, tier="hard", faces=SMALL_PRINT + LARGE_PRINT),
        PageConfig(size=672, patch=14, tier="easy", facts=(20, 40), questions=8, faces=("tiny", *LARGE_PRINT)),
    ],
    ids=["112", "128-hard-rgb", "336-hard", "672-large-print"],
)
def test_every_size_asks_different_labels_and_shows_their_answers(config):
    batch = draw_pages(config, range(40))
    assert batch.images.shape == (40, config.size, config.size, 3)[: 2 + (config.channels == 3) + 1]
    for page in range(len(batch)):
        assert len(set(batch.question_labels[page])) == config.questions
        for q in range(config.questions):
            answer = batch.answer(page, q)
            assert answer.rstrip("%").replace(".", "", 1).isdigit()
            assert batch.answer_patches[page, q].any()
            assert batch.label_patches[page, q].any()
            assert config.faces.count(FACE_NAMES[batch.question_faces[page, q]]) == 1
            for place, ch in enumerate(answer):
                patch = batch.pointers[page, q, place]
                assert batch.answer_patches[page, q, patch]
                cells = batch.places[page, patch] == place + 1
                owned = batch.owners[page, patch] == batch.question_labels[page, q] + 1
                read = {ALPHABET[c - 1] for c in batch.chars[page, patch][cells & owned]}
                assert ch in read or ch in ".%"
            assert (batch.pointers[page, q, len(answer) :] == -1).all()


def test_owners_and_places_say_what_chars_belong_to(pages):
    for batch in pages.values():
        value = batch.places > 0
        assert (batch.owners[value] > 0).all()
        assert set(np.unique(batch.owners)) <= set(range(len(LABELS) + 1))
        assert np.isin(batch.chars[value] - 1, [ALPHABET.index(ch) for ch in "0123456789.%"]).all()


def test_all_kinds_are_asked_about(pages):
    asked = np.bincount(pages["easy"].question_kinds.ravel(), minlength=len(KINDS))
    assert (asked[:6] > 0).all()
    assert asked[6:].sum() == 0


def laplacian(images, patch):
    x = np.pad(images.astype(np.float32), ((0, 0), (1, 1), (1, 1)), mode="edge")
    lap = np.abs(4 * x[:, 1:-1, 1:-1] - x[:, :-2, 1:-1] - x[:, 2:, 1:-1] - x[:, 1:-1, :-2] - x[:, 1:-1, 2:])
    side = images.shape[1] // patch
    return lap.reshape(-1, side, patch, side, patch).mean((2, 4)).reshape(len(images), -1)


def edge_recall(batch, patch, share):
    score = laplacian(batch.images, patch)
    kept = score >= np.sort(score, axis=1)[:, -round(share * score.shape[1]), None]
    return (batch.answer_patches & kept[:, None]).sum() / batch.answer_patches.sum()


def test_an_ink_detector_is_an_oracle_on_easy_pages_only(pages):
    assert edge_recall(pages["easy"], EASY.patch, 1 / 3) > 0.9
    assert edge_recall(pages["hard"], HARD.patch, 1 / 3) < 0.75
    assert edge_recall(pages["hard"], HARD.patch, 1 / 6) < 0.45


def test_print_is_darker_than_its_paper_on_both_tiers(pages):
    for batch in pages.values():
        for page in range(len(batch)):
            patches = batch.images[page].reshape(16, 14, 16, 14).transpose(0, 2, 1, 3).reshape(256, -1).astype(int)
            for mask in batch.answer_patches[page]:
                seen = patches[mask]
                assert np.percentile(seen, 90) - seen.min() > 40


def test_dense_unasked_print_is_not_spelt_out(pages):
    assert (pages["hard"].chars == IGNORE).any(axis=(1, 2)).mean() > 0.5


def test_colour_pages_are_the_grey_ones_tinted():
    grey = draw_pages(PageConfig(channels=1), [5]).images[0].astype(int)
    colour = draw_pages(PageConfig(channels=3), [5]).images[0]
    for channel in range(3):
        levels = [np.unique(colour[..., channel][grey == level]) for level in np.unique(grey)]
        assert all(len(level) == 1 for level in levels)
        assert (np.diff([int(level[0]) for level in levels]) >= 0).all()


def test_too_many_questions_for_a_page_are_refused():
    with pytest.raises(ValueError, match=r"112 px hold 12 questions at most, got 13"):
        draw_pages(PageConfig(size=112, patch=8, questions=13, facts=(13, 13)), [0])
