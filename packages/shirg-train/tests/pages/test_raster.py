import numpy as np
import pytest

from shirg_train.testbed.pages.ink import Dots, rects, runs
from shirg_train.testbed.pages.raster import fill_dots, fill_rects, print_runs
from shirg_train.testbed.pages.words import code_rows


def one(*values):
    return [np.array([value]) for value in values]


def test_print_blends_ink_and_paper():
    page = np.full((1, 16, 16), 200, np.uint8)
    glyphs = print_runs(page, runs(*one(0, 2, 3, 0), 100, code_rows(["L"], 8)))
    assert page[0, 3:8, 2].tolist() == [100] * 5
    assert page[0, 7, 2:5].tolist() == [100] * 3
    assert (page == 100).sum() == 7
    assert [int(column[0]) for column in glyphs[3:]] == [2, 3, 5, 8]


def test_what_leaves_the_page_is_refused():
    page = np.zeros((1, 16, 16), np.uint8)
    with pytest.raises(ValueError, match="outside its page of 16 px"):
        print_runs(page, runs(*one(0, 14, 3, 0), 100, code_rows(["8"], 8)))
    with pytest.raises(ValueError, match="dot"):
        fill_dots(page, Dots(*one(0, 16, 0, 5)))


def test_no_dots_leave_the_page_as_it_is():
    page = np.full((1, 16, 16), 200, np.uint8)
    fill_dots(page, Dots(*(np.zeros(0, np.int64) for _ in Dots._fields)))
    assert (page == 200).all()


def test_rectangles_are_cut_at_the_edge():
    page = np.zeros((2, 8, 8), np.uint8)
    fill_rects(page, rects(*one(1, 6, -2, 12, 3), 9))
    assert (page[1] == 9).sum() == 2 * 3
    assert not page[0].any()
