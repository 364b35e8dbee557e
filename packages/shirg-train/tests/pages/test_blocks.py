import numpy as np
import pytest

from shirg_train.testbed.pages.blocks import number_codes
from shirg_train.testbed.pages.words import ALPHABET


@pytest.mark.parametrize(
    ("amount", "tail", "printed"),
    [(0, 0, "0"), (7, 0, "7"), (42, 0, "42"), (9999, 0, "9999"), (4827, 1, "482.7"), (66, 1, "6.6"), (5, 1, "0.5"),
     (37, 2, "37%"), (5, 2, "5%")],
)  # fmt: skip
def test_numbers_are_printed_as_people_write_them(amount, tail, printed):
    codes = number_codes(np.array([amount]), np.array([tail]))[0]
    assert "".join(ALPHABET[c] for c in codes if c >= 0) == printed
    assert (codes[len(printed) :] == -1).all()
