"""Folders in SROIE's layout: what they say is read as published, and what cannot be read is counted."""

import pytest

from shirg_bench.pages.receipts import Receipts, find_value, read_lines

from .pages_setup import BOXES, sroie_folder

SIZE = (140, 200)


def test_a_published_receipt(tmp_path):
    source = Receipts(sroie_folder(tmp_path / "mine", key={"company": "ACME", "total": "RM9.00"}))
    page = source.load("000")
    assert (source.name, source.keys()) == ("mine", ["000"])
    assert [line.text for line in page.lines][:3] == ["ACME STORE", "TOTAL:", "9.00"]
    assert page.lines[0].box == (10, 10, 90, 22)
    assert page.value == ((80, 41, 120, 53),)
    assert (page.unreadable, page.outside) == (0, 0)


@pytest.mark.parametrize("key", [None, {"company": "ACME"}, {"total": ""}, {"total": "8.99"}])
def test_without_a_known_total_the_value_is_unknown(tmp_path, key):
    assert Receipts(sroie_folder(tmp_path, key=key)).load("000").value == ()


def test_what_cannot_be_read_is_counted_and_the_rest_is_there():
    more = "1,2,3,4,5,6,7,8\n1,2,x,4,5,6,7,8,word\nnothing\n500,10,600,10,600,20,500,20,FAR\nnan,0,9,0,9,9,0,9,NAN\n"
    lines, unreadable, outside = read_lines(BOXES + more, SIZE)
    assert (len(lines), unreadable, outside) == (6, 3, 2)


def test_text_keeps_its_commas_and_boxes_end_at_the_page():
    ((line,), _, _) = read_lines("-5,190,150,190,150,230,-5,230,A, B, C\n", SIZE)
    assert (line.text, line.box) == ("A, B, C", (0, 190, 140, 200))


def test_the_value_stands_in_the_row_of_a_total_before_anywhere_else():
    lines, _, _ = read_lines(BOXES, SIZE)
    assert find_value(lines, "9.00") == ((80, 41, 120, 53),)
    # 10.00 stands in no such row; 0.00 is a part of it, and no number of its own.
    assert find_value(lines, "10.00") == ((80, 70, 120, 82),)
    assert find_value(lines, "0.00") == ()


def test_of_a_line_that_says_more_the_value_is_its_part():
    lines, _, _ = read_lines("0,0,100,0,100,10,0,10,TOTAL 9.00\n", SIZE)
    assert find_value(lines, "9.00") == ((60, 0, 100, 10),)


def test_a_digest_changes_with_the_annotation(tmp_path):
    source = Receipts(sroie_folder(tmp_path))
    before = source.digest("000")
    (tmp_path / "key" / "000.json").write_text('{"total": "9.00"}')
    assert source.digest("000") != before


def test_other_folders_are_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="must hold img/ and box/"):
        Receipts(tmp_path)
    folder = sroie_folder(tmp_path / "mine", boxes="broken\n")
    with pytest.raises(ValueError, match=r"000\.csv has no line of print"):
        Receipts(folder).load("000")
    (folder / "box" / "000.csv").unlink()
    with pytest.raises(ValueError, match="has no annotation"):
        Receipts(folder).load("000")
    (folder / "key" / "000.json").write_text("[")
    (folder / "box" / "000.csv").write_text(BOXES)
    with pytest.raises(ValueError, match="is not JSON"):
        Receipts(folder).load("000")
