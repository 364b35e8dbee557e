"""Drawn pages are the same for everyone, and their print is where they say."""

import numpy as np
import pytest

from shirg_bench.pages.drawn.source import KINDS, DrawnPages, draw_page
from shirg_bench.pages.geometry import padded_view
from shirg_core.scores.edges import layout_edges


@pytest.mark.parametrize(("number", "kind"), [*enumerate(KINDS)])
def test_a_page_says_where_its_print_stands(number, kind):
    page = draw_page(number, kind)
    again = draw_page(number, kind)
    assert np.array_equal(page.image, again.image)
    assert page.lines == again.lines
    width, height = page.image.size
    boxes = np.array([box for line in page.lines for box in line.boxes])
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= (width, height)).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    grey = np.asarray(page.image.convert("L"), float)
    contrast = [np.ptp(grey[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1]) for x0, y0, x1, y1 in boxes]
    assert min(contrast) > 40
    assert len(page.value) >= 1
    assert set(page.value) <= {tuple(box) for box in boxes}


def test_edges_are_not_all_of_it():
    page = draw_page(3, "leaflet")
    views = padded_view(page.image)
    edges = layout_edges(views.pixels, views.layout)[0]
    k = int(edges.numel() / 12)
    y, x = np.divmod(edges.topk(k).indices.numpy(), 48)
    printed = {(line.box[1] // 14, line.box[0] // 14) for line in page.lines}
    assert len(printed) > 20
    assert len(np.unique(y)) > 5
    assert len(np.unique(x)) > 5


def test_page_numbers_are_seeds():
    source = DrawnPages(7)
    keys = source.keys()
    assert keys[:5] == ["000-invoice", "001-letter", "002-form", "003-leaflet", "004-chart"]
    assert keys[5:] == ["005-invoice", "006-letter"]
    assert len({source.digest(key) for key in keys}) == 7
    assert not np.array_equal(draw_page(0, "form").image, draw_page(5, "form").image)
