import numpy as np
import pytest

from shirg_train.testbed.pages.clutter import WEIGHTS
from shirg_train.testbed.pages.sheets import faint_sheet, paper, sheet


@pytest.mark.parametrize("kind", range(len(WEIGHTS)))
def test_every_sheet_is_texture_and_its_watermark_is_faint(kind):
    full = sheet(kind)
    tiles = full[:1440, :1440].reshape(15, 96, 15, 96).astype(float).std(axis=(1, 3))
    assert tiles.min() > 5
    assert faint_sheet(kind, 0.3).min() >= 255 - 0.3 * 255 - 1


def test_paper_is_light_and_even():
    assert paper(3.0).min() > 150
    assert paper(3.0).mean() == pytest.approx(239, abs=3)
    assert np.array_equal(paper(3.0), paper(3.0))
