import pytest
from data_files import decode, encode

from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_train.data.chat import answer_ids, exchanges, load_encoder, place_images, prompt_ids
from shirg_train.data.record import CorruptSampleError, Turn
from shirg_train.pages.tokenizer import SpecialIds, build_tokenizer, save_tokenizer

HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"


def test_prompt_and_answer_are_the_chat_template_split_before_the_answer():
    prompt = prompt_ids("What is the total?\n<image>", 1, encode, system="be brief.")
    at = prompt.tolist().index(IMAGE_TOKEN_ID)
    assert decode(prompt[:at]) == (
        "<|startoftext|>" + HEADER.format("system") + "be brief.<|eot_id|>" + HEADER.format("user")
    )
    assert decode(prompt[at + 1 :]) == "\nwhat is the total?<|eot_id|>" + HEADER.format("assistant")
    assert decode(answer_ids(" 48 ", encode)) == "48<|eot_id|>"
    assert answer_ids("48", encode)[-1] == SpecialIds.of(build_tokenizer()).eot
    assert prompt_ids("?", 0, encode)[0] == SpecialIds.of(build_tokenizer()).bos


@pytest.mark.parametrize(
    ("question", "n", "placed"),
    [
        ("Why?\n<image>", 1, "<image>\nWhy?"),
        ("Why?", 1, "<image>\nWhy?"),
        ("Why?", 2, "<image>\n<image>\nWhy?"),
        ("<image> or <image>?", 2, "<image> or <image>?"),
        ("Why?", 0, "Why?"),
    ],
)
def test_images_are_placed(question, n, placed):
    assert place_images(question, n) == placed


def test_placeholders_and_images_must_agree():
    with pytest.raises(CorruptSampleError, match=r"2 <image> for 1 image"):
        place_images("<image><image>", 1)


def test_exchanges_are_question_and_answer_pairs():
    talk = [Turn("assistant", "hi"), Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"), Turn("user", "d")]
    assert exchanges(talk) == [("a", "b")]
    with pytest.raises(CorruptSampleError, match="no user's turn"):
        exchanges(talk[3:])
    with pytest.raises(CorruptSampleError, match="empty"):
        exchanges([Turn("user", "a"), Turn("assistant", " ")])


def test_an_encoder_needs_the_template_tokens(tmp_path):
    from tokenizers import Tokenizer, models

    save_tokenizer(tmp_path / "micro")
    assert load_encoder(tmp_path / "micro")("what is") == encode("what is")
    with pytest.raises(FileNotFoundError, match=r"no tokenizer\.json"):
        load_encoder(tmp_path)
    Tokenizer(models.BPE()).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="startoftext"):
        load_encoder(tmp_path)
