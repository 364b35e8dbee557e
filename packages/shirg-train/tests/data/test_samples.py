import pytest
from data_files import decode, encode, png

from shirg_train.data.record import CorruptSampleError, Record, Turn
from shirg_train.data.samples import Reader


def record(*images, talk=(("a?", "b"),)):
    turns = tuple(turn for q, a in talk for turn in (Turn("user", q), Turn("assistant", a)))
    return Record("r", images, turns)


def test_images_keep_their_own_sizes(tmp_path):
    (tmp_path / "i.png").write_bytes(png(31, 17))
    sample = Reader(encode)(record(png(64, 20), tmp_path / "i.png"))
    assert [image.size for image in sample.images] == [(64, 20), (31, 17)]
    assert {image.mode for image in sample.images} == {"RGB"}


@pytest.mark.parametrize(
    ("images", "kind"),
    [((b"nonsense",), "unreadable image"), ((png(9, 9)[:50],), "unreadable image"), ((png(9, 1),), "tiny image")],
)
def test_a_broken_image_makes_the_sample_corrupt(images, kind):
    with pytest.raises(CorruptSampleError, match=f"^{kind}"):
        Reader(encode)(record(*images))


def test_a_missing_file_and_a_long_text_are_named(tmp_path):
    with pytest.raises(CorruptSampleError, match=r"^missing image: .*gone\.png"):
        Reader(encode)(record(tmp_path / "gone.png"))
    with pytest.raises(CorruptSampleError, match=r"^length: \d+ tokens, 20 are allowed"):
        Reader(encode, max_tokens=20)(record(png(9, 9), talk=[("why?", "1234567890" * 3)]))


def test_one_exchange_is_chosen_anew_every_epoch():
    many = record(png(9, 9), talk=[(f"q{i}?", f"{i}") for i in range(8)])
    read = Reader(encode, seed=3)
    answers = [decode(read(many, epoch).answer_ids) for epoch in range(20)]
    assert len(set(answers)) > 3
    assert answers == [decode(read(many, epoch).answer_ids) for epoch in range(20)]
    sample = read(many, 5)
    assert f"q{decode(sample.answer_ids)[0]}?" in decode(sample.prompt_ids)
