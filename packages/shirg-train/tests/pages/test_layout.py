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
