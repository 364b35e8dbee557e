import numpy as np
import pytest

from shirg_train.testbed.pages.batch import IGNORE, allocate
from shirg_train.testbed.pages.blocks import Facts
from shirg_train.testbed.pages.config import PageConfig
from shirg_train.testbed.pages.ink import LABEL, VALUE, Rects, join_runs, runs
from shirg_train.testbed.pages.raster import print_runs
from shirg_train.testbed.pages.truth import ask, record
from shirg_train.testbed.pages.words import ALPHABET, LABELS, code_rows


def test_a_page_printed_by_hand():
    config = PageConfig(size=112, patch=8, questions=1, facts=(1, 1))
    out = allocate(config, 1)
    facts = Facts(
        label=np.array([[LABELS.index("tax")]], np.int16),
        value=code_rows(["41"], 5)[None],
        face=np.zeros((1, 1), np.int16),
        kind=np.zeros((1, 1), np.int16),
    )
    at = np.array([0])
    printed = join_runs(
        [
            # Tiny letters are 3 px wide, 4 px apart: T in column 0, A and X in column 1; rows 3–7, all in row 0.
            runs(at, at + 4, at + 3, at, 0, code_rows(["TAX"], 8), 0, LABEL),
            # 4 at x 38–40 spans patches 4 and 5 with its centre in 4; 1 at x 42–44; rows 7–11 span rows 0 and 1.
            runs(at, at + 38, at + 7, at, 0, code_rows(["41"], 8), 0, VALUE),
        ]
    )
    glyphs = print_runs(np.full((1, 112, 112), 255, np.uint8), printed)
    asked = ask(out, facts, np.zeros((1, 1), np.float32))
    record(out, config, facts, asked, printed, glyphs, Rects(*(np.array([v]) for v in (0, 80, 80, 90, 88, 0))))

    assert (out.question(0, 0), out.answer(0, 0)) == ("What is the value of tax?", "41")
    assert set(np.flatnonzero(out.label_patches[0, 0])) == {0, 1}
    assert set(np.flatnonzero(out.answer_patches[0, 0])) == {4, 5, 14 + 4, 14 + 5}
    assert out.pointers[0, 0].tolist() == [14 + 4, 14 + 5, -1, -1, -1]
    spelt = {(patch, ALPHABET[c - 1]) for patch, cells in enumerate(out.chars[0]) for c in cells if c > 0}
    assert spelt == {(0, "T"), (1, "A"), (1, "X"), (18, "4"), (19, "1")}
    assert out.places[0, 18].max() == 1
    assert out.places[0, 19].max() == 2
    # The centre of rows 7–11 is row 9: row 7 is cut off, of the 4 column 40, too. Nothing cuts rows 3–7.
    assert [(patch, int(cells.max())) for patch, cells in enumerate(out.cut[0]) if cells.any()] == [(18, 47), (19, 20)]
    assert set(np.unique(out.owners)) == {0, LABELS.index("tax") + 1}
    ignored = set(np.flatnonzero((out.chars[0] == IGNORE).all(1)))
    assert ignored == {10 * 14 + 10, 10 * 14 + 11}


@pytest.mark.parametrize("across", [False, True])
def test_cut_is_the_share_outside_the_patch_of_the_centre(across):
    config = PageConfig(size=112, patch=8, questions=1, facts=(1, 1))
    out = allocate(config, 1)
    facts = Facts(*(np.zeros((1, 1), np.int16), code_rows(["8"], 5)[None], *(np.zeros((1, 1), np.int16),) * 2))
    at = np.array([0])
    places = [(9 * n, 0) if across else (8 * n, n) for n in range(8)]
    printed = join_runs([runs(at, at + x, at + y, at, 0, code_rows(["8"], 8), 0, VALUE) for x, y in places])
    glyphs = print_runs(np.full((1, 112, 112), 255, np.uint8), printed)
    record(out, config, facts, ask(out, facts, np.zeros((1, 1), np.float32)), printed, glyphs, Rects(*(at[:0],) * 6))
    centres = [(y + 2) // 8 * 14 + (x + 1) // 8 for x, y in places]
    # Five rows from row n of patches eight rows high, or three columns from column n.
    expected = [0, 0, 0, 0, 0, 0, 34, 34] if across else [0, 0, 0, 0, 20, 40, 40, 20]
    assert [int(out.cut[0, patch].max()) for patch in centres] == expected
