"""What counts as read, and how a page is shown from what was kept."""

import importlib.util

import numpy as np
import pytest
import torch
from PIL import Image

from shirg_bench.pages.drawn.sheet import Sheet
from shirg_bench.pages.geometry import padded_view
from shirg_bench.pages.page import Line
from shirg_bench.pages.reader import load_reader, picture_key, read_share
from shirg_bench.pages.shown import averaged_page, full_page, kept_page
from shirg_core.images.views import anyres_views

SIZE = (100, 100)
LINES = [Line("Total: 9.00", ((10, 10, 90, 20),)), Line("THANK YOU", ((10, 40, 90, 50),))]
NOISE = Image.effect_noise((84, 140), 80).convert("RGB")


@pytest.mark.parametrize(
    ("found", "words", "lines"),
    [
        ([], 0, 0),
        ([("TOTAL 9,00", (0.1, 0.1, 0.9, 0.2))], 0.5, 0.5),
        # Split and joined otherwise, in any order of boxes.
        ([("9.00", (0.6, 0.1, 0.9, 0.2)), ("total", (0.1, 0.1, 0.5, 0.2)), ("ThankYou!", (0.1, 0.4, 0.9, 0.5))], 1, 1),
        ([("TOTAL 9.80", (0.1, 0.1, 0.9, 0.2)), ("THANK", (0.1, 0.4, 0.4, 0.5))], 0.5, 0),
        # The right words elsewhere are not read here.
        ([("TOTAL 9.00", (0.1, 0.7, 0.9, 0.8))], 0, 0),
    ],
)
def test_a_line_is_read_where_its_letters_stand_at_its_place(found, words, lines):
    assert read_share(LINES, found, SIZE) == (words, lines)


def test_a_page_without_words_has_no_share():
    assert all(np.isnan(share) for share in read_share([Line("---", ((0, 0, 9, 9),))], [], SIZE))


def test_kept_tokens_are_shown_as_they_are_and_the_rest_averaged():
    views = padded_view(NOISE, side=10)
    kept = torch.zeros(100, dtype=torch.bool)
    kept[22:24] = True
    full, averaged, page = full_page(views), averaged_page(views), kept_page(views, kept)
    assert full.shape == averaged.shape == page.shape == (140, 84, 3)
    # The page is centred: its left border is at 28 px, the third token's.
    assert np.array_equal(page[28:42, :28], full[28:42, :28])
    assert np.array_equal(page[42:], averaged[42:])
    assert not np.array_equal(full, averaged)
    assert np.array_equal(kept_page(views, torch.ones(100, dtype=torch.bool)), full)
    assert picture_key(page) != picture_key(full)


def test_a_page_of_several_views_cannot_be_shown():
    with pytest.raises(ValueError, match="from one view, got"):
        full_page(anyres_views(NOISE, side=2))


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("rapidocr", "onnxruntime")),
    reason="needs the real reader: install shirg-bench[real]",
)
def test_the_real_reader_reads_print():
    sheet = Sheet(Image.new("RGB", (224, 180), "white"), "sans")
    for y in (20, 60, 100, 140):
        sheet.write(10, y, f"ANNUAL REPORT {y}.50", 14)
    read, views = load_reader(), padded_view(sheet.image, side=16)
    assert read_share(sheet.lines, read(full_page(views)), sheet.image.size) == (1, 1)
    assert read(np.full((60, 60, 3), 255, np.uint8)) == []
