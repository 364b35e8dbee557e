import dataclasses

import numpy as np
import pytest
from data_files import decode, encode, png
from PIL import Image

from shirg_core.files import LFS_POINTER
from shirg_core.images import load_image
from shirg_train.data import samples
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


def test_a_sample_without_an_image_is_skipped():
    with pytest.raises(CorruptSampleError, match=r"^no image"):
        Reader(encode)(record())


def test_pixels_are_those_that_inference_sees(tmp_path):
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (8, 6), (0, 0, 0, 0)).save(clear)
    turned = Image.new("RGB", (8, 6), "red")
    turned.getexif()[0x0112] = 6
    turned.paste("blue", (0, 0, 4, 3))
    for suffix in ("jpg", "tiff"):
        turned.save(tmp_path / f"turned.{suffix}", exif=turned.getexif())
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((6, 8), 40000, np.uint16)).save(deep)
    assert load_image(tmp_path / "turned.tiff").tobytes() == turned.transpose(Image.Transpose.ROTATE_270).tobytes()
    for path in (clear, tmp_path / "turned.jpg", tmp_path / "turned.tiff", deep):
        shown = load_image(path)
        for encoded in (path, path.read_bytes()):
            (image,) = Reader(encode)(record(encoded)).images
            assert (image.mode, image.size) == ("RGB", shown.size)
            assert image.tobytes() == shown.tobytes()


def test_a_git_lfs_pointer_in_place_of_an_image_is_named(tmp_path):
    (tmp_path / "i.png").write_bytes(LFS_POINTER + b"v1\n")
    for encoded, where in ((tmp_path / "i.png", r"i\.png is"), (LFS_POINTER + b"v1\n", "a git-lfs pointer was stored")):
        with pytest.raises(CorruptSampleError, match=f"^unreadable image: .*{where}.*git lfs pull"):
            Reader(encode)(record(encoded))


@pytest.mark.parametrize("error", [EOFError, IndexError, KeyError, OverflowError, TypeError])
def test_whatever_a_decoder_raises_makes_the_sample_corrupt(monkeypatch, error):
    def fails(_):
        raise error("damaged")

    monkeypatch.setattr(samples.Image, "open", fails)
    with pytest.raises(CorruptSampleError, match=r"^unreadable image"):
        Reader(encode)(record(png(9, 9)))


def test_a_missing_file_and_a_long_text_are_named(tmp_path):
    with pytest.raises(CorruptSampleError, match=r"^missing image: .*gone\.png"):
        Reader(encode)(record(tmp_path / "gone.png"))
    with pytest.raises(CorruptSampleError, match=r"^length: \d+ tokens, 20 are allowed"):
        Reader(encode, max_tokens=20)(record(png(9, 9), talk=[("why?", "1234567890" * 3)]))


def sizes_by_answer(images, talk, epochs=40, **options):
    read, made = Reader(encode, **options), record(*images, talk=talk)
    samples = [read(made, epoch) for epoch in range(epochs)]
    return {decode(s.answer_ids).removesuffix("<|eot_id|>"): [image.width for image in s.images] for s in samples}


def test_images_of_later_turns_are_not_shown_and_need_not_be_there(tmp_path):
    talk = [("<image> first?", "one"), ("<image> second?", "two"), ("sure?", "yes")]
    assert sizes_by_answer((png(11, 9), png(12, 9)), talk) == {"one": [11], "two": [11, 12], "yes": [11, 12]}
    first = record(png(11, 9), tmp_path / "gone.png", talk=talk)
    answers = [outcome(first, epoch) for epoch in range(40)]
    assert set(answers) == {"one<|eot_id|>", "missing image"}


def outcome(some, epoch):
    """The answer, or what is wrong."""
    try:
        return decode(Reader(encode)(some, epoch).answer_ids)
    except CorruptSampleError as error:
        return str(error).partition(":")[0]


def test_an_empty_answer_or_one_that_is_too_long_discards_its_turn_only():
    talk = [("<image> first?", "one"), ("and?", " "), ("last?", "9 " * 200)]
    assert sizes_by_answer((png(11, 9),), talk, max_tokens=100) == {"one": [11]}
    assert set(sizes_by_answer((png(11, 9),), talk[:2])) == {"one"}


def test_any_function_encodes():
    sample = Reader(lambda text: [ord(letter) for letter in text])(record(png(9, 9), talk=[("why?", "so")]))
    assert "".join(map(chr, sample.question_ids.tolist())) == "why?"
    with pytest.raises(CorruptSampleError, match="no words"):
        Reader(lambda text: [ord(letter) for letter in text])(record(png(9, 9), talk=[("<image>", "so")]))


def test_independent_questions_come_alone_with_all_images():
    made = dataclasses.replace(record(png(11, 9), talk=[("a?", "1"), ("b?", "2")]), independent=True)
    samples = [Reader(encode)(made, epoch) for epoch in range(8)]
    assert {decode(s.prompt_ids).count("?") for s in samples} == {1}
    assert {len(s.images) for s in samples} == {1}
    assert len({decode(s.answer_ids) for s in samples}) == 2


def test_one_exchange_is_chosen_anew_every_epoch():
    many = record(png(9, 9), talk=[(f"q{i}?", f"{i}") for i in range(8)])
    read = Reader(encode, seed=3)
    answers = [decode(read(many, epoch).answer_ids) for epoch in range(20)]
    assert len(set(answers)) > 3
    assert answers == [decode(read(many, epoch).answer_ids) for epoch in range(20)]
    sample = read(many, 5)
    assert f"q{decode(sample.answer_ids)[0]}?" in decode(sample.prompt_ids)


def test_the_question_is_the_turn_that_the_answer_answers():
    talk = record(png(9, 9), talk=[("<image>\nwhat is the total?", "1"), ("how much is the tax?", "2")])
    read = Reader(encode, system="be brief.", seed=3)
    asked = {decode(s.answer_ids)[0]: decode(s.question_ids) for s in (read(talk, epoch) for epoch in range(9))}
    assert asked == {"1": "what is the total?", "2": "how much is the tax?"}


def test_a_character_that_the_tokenizer_does_not_know_is_a_word():
    sample = Reader(encode)(record(png(9, 9), talk=[("é?", "1")]))
    assert decode(sample.question_ids) == "<|unknown|>?"


def test_an_exchange_without_words_makes_room_for_another_one():
    talk = record(png(9, 9), talk=[("<image>", "a page"), ("why?", "2")])
    for epoch in range(6):
        sample = Reader(encode)(talk, epoch)
        assert (decode(sample.question_ids), decode(sample.answer_ids)) == ("why?", "2<|eot_id|>")
        assert "a page" in decode(sample.prompt_ids)


@pytest.mark.parametrize("question", ["<image>", " \n<image>", "<|eot_id|>"])
def test_a_question_without_words_makes_the_sample_corrupt(question):
    with pytest.raises(CorruptSampleError, match=r"^conversation: the question has no words"):
        Reader(encode)(record(png(9, 9), talk=[(question, "a page")]))
