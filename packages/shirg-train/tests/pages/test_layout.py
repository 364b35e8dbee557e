import numpy as np
import pytest

from shirg_train.testbed.pages.generator import RowGenerator
from shirg_train.testbed.pages.layout import cut_pages, smallest_main


@pytest.mark.parametrize("size", [112, 224, 672])
def test_blocks_tile_every_page_and_the_first_is_large(size):
    boxes = cut_pages(RowGenerator(np.arange(40)), size)
    w, h = smallest_main(size)
    for page in boxes:
        covered = np.zeros((size, size), int)
        for x0, y0, x1, y1 in page:
            covered[y0:y1, x0:x1] += 1
        assert (covered == 1).all()
        x0, y0, x1, y1 = page[0]
        assert x1 - x0 >= w
        assert y1 - y0 >= h


def test_parts_are_cut_by_themselves():
    boxes = cut_pages(RowGenerator(np.arange(40)), 224, parts=2).reshape(40, 4, -1, 4)
    w, h = smallest_main(112)
    for page in boxes:
        for part, blocks in enumerate(page):
            top, left = (112 * at for at in divmod(part, 2))
            covered = np.zeros((224, 224), int)
            for x0, y0, x1, y1 in blocks:
                covered[y0:y1, x0:x1] += 1
            assert (covered[top : top + 112, left : left + 112] == 1).all()
            assert covered.sum() == 112 * 112
            x0, y0, x1, y1 = blocks[0]
            assert x1 - x0 >= w
            assert y1 - y0 >= h
