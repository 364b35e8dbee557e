import pytest
from data_files import decode, encode

from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_train.data.chat import Exchange, answer_ids, exchanges, load_encoder, place_images, prompt_ids
from shirg_train.data.record import CorruptSampleError, Turn
from shirg_train.testbed.pages.tokenizer import SpecialIds, build_tokenizer, save_tokenizer

HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"


def test_prompt_and_answer_are_the_chat_template_split_before_the_answer():
    talk = exchanges([Turn("user", "What is the total?\n<image>"), Turn("assistant", "48")], 1)
    prompt = prompt_ids(talk, encode, system="be brief.")
    at = prompt.tolist().index(IMAGE_TOKEN_ID)
    assert decode(prompt[:at]) == (
        "<|startoftext|>" + HEADER.format("system") + "be brief.<|eot_id|>" + HEADER.format("user")
    )
    assert decode(prompt[at + 1 :]) == "\nwhat is the total?<|eot_id|>" + HEADER.format("assistant")
    assert decode(answer_ids(" 48 ", encode)) == "48<|eot_id|>"
    assert answer_ids("48", encode)[-1] == SpecialIds.of(build_tokenizer()).eot
    assert prompt_ids([Exchange("?", "48", 0)], encode)[0] == SpecialIds.of(build_tokenizer()).bos


@pytest.mark.parametrize(
    ("question", "n", "before", "placed"),
    [
        ("Why?\n<image>", 1, 0, "<image>\nWhy?"),
        ("Why?", 0, 1, "<image>\nWhy?"),
        ("Why?", 0, 2, "<image>\n<image>\nWhy?"),
        ("<image> or <image>?", 2, 0, "<image> or <image>?"),
        ("Why? <image>", 1, 1, "<image>\n<image>\nWhy?"),
        ("Why?", 0, 0, "Why?"),
    ],
)
def test_images_are_placed(question, n, before, placed):
    assert place_images(question, n, before) == placed


def talk(*texts):
    return [Turn(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)]


@pytest.mark.parametrize("texts", [("<image><image>", "a"), ("<image>", "a", "<image><image>", "b")])
def test_placeholders_and_images_must_agree(texts):
    with pytest.raises(CorruptSampleError, match=r"\d <image> for 1 image"):
        exchanges(talk(*texts), 1)


def test_exchanges_are_question_and_answer_pairs():
    turns = [Turn("assistant", "hi"), *talk("a", "b"), Turn("user", "c"), Turn("user", "d")]
    assert exchanges(turns, 0) == [Exchange("a", "b", 0)]
    with pytest.raises(CorruptSampleError, match="no user's turn"):
        exchanges(turns[3:], 0)
    with pytest.raises(CorruptSampleError, match="every answer is empty"):
        exchanges(talk("a", " ", "b", ""), 0)


@pytest.mark.parametrize(
    ("texts", "n", "expected"),
    [
        (("<image> 1", "a", "<image> 2", "b"), 2, [("<image>\n1", 1), ("<image>\n2", 1)]),
        (("1", "a", "2", "b"), 2, [("<image>\n<image>\n1", 2), ("2", 0)]),
        (("1", "a", "2 <image>", "b"), 1, [("1", 0), ("<image>\n2", 1)]),
        (("<image> or <image>", "a", "<image> 2", "b"), 3, [("<image> or <image>", 2), ("<image>\n2", 1)]),
        (("<image> 1", " ", "2", "b"), 1, [("<image>\n2", 1)]),
        (("1", "", "2", "b"), 1, [("<image>\n2", 1)]),
        (("<image> 1", "a", "<image> 2", "b"), 1, [("<image>\n1", 1), ("2", 0)]),
    ],
    ids=["each", "none", "later", "three", "unanswered", "unanswered-none", "repeated"],
)
def test_images_come_with_their_question(texts, n, expected):
    assert [(each.question, each.n_images) for each in exchanges(talk(*texts), n)] == expected


def test_a_prompt_holds_what_was_said_before_and_text_is_no_placeholder():
    asked = exchanges(talk("<image> red?", "the label <image>", "<image> blue?", "no"), 2)
    prompt = prompt_ids(asked, encode, system="say <image>")
    assert prompt.tolist().count(IMAGE_TOKEN_ID) == 2
    after = prompt[prompt.tolist().index(IMAGE_TOKEN_ID) + 1 :]
    assert decode(after[: len(encode("\nred?<|eot_id|>"))]) == "\nred?<|eot_id|>"
    assert decode(prompt).count("<|eot_id|>") == 4


def test_an_encoder_needs_the_template_tokens(tmp_path):
    from tokenizers import Tokenizer, models

    save_tokenizer(tmp_path / "micro")
    assert load_encoder(tmp_path / "micro")("what is") == encode("what is")
    with pytest.raises(FileNotFoundError, match=r"no tokenizer .* tokenizer\.json is missing"):
        load_encoder(tmp_path)
    Tokenizer(models.BPE()).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="startoftext"):
        load_encoder(tmp_path)
