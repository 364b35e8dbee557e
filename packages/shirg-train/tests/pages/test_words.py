import numpy as np
import pytest

from shirg_train.testbed.pages.words import ALPHABET, LABELS, MAX_CODES, encode, filler_codes, label_codes


def text(codes):
    return "".join(ALPHABET[c] for c in codes if c >= 0)


def test_labels_are_distinct_and_printable_in_three_cases():
    assert len(set(LABELS)) == len(LABELS) == 128
    assert label_codes().shape == (len(LABELS), 3, MAX_CODES)
    assert [text(row) for row in label_codes()[LABELS.index("total")]] == ["TOTAL", "Total", "total"]


def test_filler_never_says_a_label():
    words = {text(row).lower() for row in filler_codes()}
    assert len(words) > 50
    assert not words & set(LABELS)


def test_a_character_outside_the_alphabet_is_refused():
    with pytest.raises(ValueError, match="not found"):
        encode("é")
    assert np.array_equal(encode("09A"), [0, 9, 10])
