import json
from pathlib import Path

import pytest
import torch

from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.families.dream import DREAM
from shirg_lavida.families.llada import LLADA
from shirg_lavida.prompt.chat import SYSTEM_PROMPT, ChatStyle, prompt_ids, prompt_pieces, question_ids
from shirg_lavida.prompt.tokenizer import load_tokenizer
from shirg_lavida.testing import VOCAB_SIZE, write_tiny_tokenizer

FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((FOLDER / "prompts.json").read_text(encoding="utf-8"))
OURS = ChatStyle(system=None, released_ids=False)
TAIL = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"


def tokenizer(folder, **config):
    return load_tokenizer(write_tiny_tokenizer(folder, **config), VOCAB_SIZE)


@pytest.mark.parametrize("kind", ["textual_bos", "own_bos"])
@pytest.mark.parametrize("template", [None, LLADA.turns.template], ids=["no template", "own template"])
def test_ids_are_the_released_codes(tmp_path, kind, template):
    config = {} if template is None else {"chat_template": template}
    one = tokenizer(tmp_path, adds_bos=kind == "own_bos", **config)
    for question, ids in zip(GOLDEN["questions"], GOLDEN["ids"][kind], strict=True):
        assert prompt_ids(one, question, ChatStyle(), ids.count(IMAGE_TOKEN_ID)).tolist() == ids, question


def test_dreams_ids_are_the_released_codes():
    one = load_tokenizer(FOLDER / "dream_tokenizer", 387)
    golden = json.loads((FOLDER / "dream_prompts.json").read_text(encoding="utf-8"))
    style = ChatStyle(turns=DREAM.turns)
    for question, ids in zip(golden["questions"], golden["ids"], strict=True):
        assert prompt_ids(one, question, style, ids.count(IMAGE_TOKEN_ID)).tolist() == ids, question


def test_text_of_a_prompt(tmp_path):
    text = "<image>".join(prompt_pieces(tokenizer(tmp_path), "  What?\n", ChatStyle()))
    head = "<|startoftext|><|start_header_id|>system<|end_header_id|>\n\n"
    user = "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n<image>\n  What?"
    assert text == f"{head}{SYSTEM_PROMPT}{user}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"


def test_the_released_ids_lose_the_token_after_the_image(tmp_path):
    one = tokenizer(tmp_path)
    whole, released = (prompt_ids(one, "What?", ChatStyle(None, released)).tolist() for released in (False, True))
    at = whole.index(IMAGE_TOKEN_ID)
    assert one.decode(whole[at + 1]) == "\n"
    assert released == whole[: at + 1] + whole[at + 2 :]


def test_a_start_of_text_before_every_piece_is_dropped(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain, adding = tokenizer(tmp_path / "a"), tokenizer(tmp_path / "b", adds_bos=True)
    # The template writes a start of text, too: only the tokenizer's own is dropped, as in the released code.
    assert prompt_ids(adding, "What?", OURS).tolist() == [
        plain.bos_token_id,
        *prompt_ids(plain, "What?", OURS).tolist(),
    ]


def test_the_image_stands_where_the_question_says(tmp_path):
    one = tokenizer(tmp_path)
    ids = prompt_ids(one, "Look: <image> What?", OURS).tolist()
    at = ids.index(IMAGE_TOKEN_ID)
    assert one.decode(ids[:at]).endswith("Look: ")
    assert one.decode(ids[at + 1 :]).startswith(" What?")
    assert prompt_ids(one, "<image> or <image>?", OURS, 2).tolist().count(IMAGE_TOKEN_ID) == 2


@pytest.mark.parametrize(
    ("question", "n_images", "pieces"),
    [
        ("What?", 0, ["What?"]),
        ("What does <image> mean?", 0, ["What does <image> mean?"]),
        ("What?", 2, ["", " ", "\nWhat?"]),
        ("<image> or <video>? <image>", 1, ["", "\n<image> or <video>? <image>"]),
        ("Which of <image>, <image 0>?", 2, ["", " ", "\nWhich of <image>, <image 0>?"]),
        ("<image> or <image>?", 2, ["", " or ", "?"]),
    ],
)
def test_text_that_reads_like_a_placeholder_is_text(tmp_path, question, n_images, pieces):
    one, style = tokenizer(tmp_path), ChatStyle("Point at an <image>.", released_ids=False)
    prompt = prompt_pieces(one, question, style, n_images)
    assert prompt[0].endswith(f"user<|end_header_id|>\n\n{pieces[0]}" if n_images else f"\n\n{pieces[0]}{TAIL}")
    assert prompt[1:-1] == pieces[1:-1]
    assert not n_images or prompt[-1] == pieces[-1] + TAIL
    assert prompt_ids(one, question, style, n_images).tolist().count(IMAGE_TOKEN_ID) == n_images


def test_a_template_that_loses_images_is_refused(tmp_path):
    one = tokenizer(tmp_path, chat_template="{% for m in messages %}{{ m.content | replace('<', '(') }}{% endfor %}")
    with pytest.raises(ValueError, match=r"shows 0 of the question's 1 image\(s\)"):
        prompt_ids(one, "What?", ChatStyle())


@pytest.mark.parametrize(
    ("question", "n_images"), [("", 1), (" \n", 1), ("<image>", 1), (" ", 0), ("<image>\n<image>", 2)]
)
def test_an_empty_question_is_refused(tmp_path, question, n_images):
    with pytest.raises(ValueError, match="question is empty"):
        prompt_ids(tokenizer(tmp_path), question, ChatStyle(), n_images)


@pytest.mark.parametrize("adds_bos", [False, True])
@pytest.mark.parametrize(
    ("question", "n_images", "words"),
    [
        ("  What?\n", 1, "What?"),
        ("<image>\nWhat?", 1, "What?"),
        ("What?\n<image>", 1, "What?"),
        ("Look: <image> What?", 1, "Look: What?"),
        ("<image> <image>\nWhat\nnow?", 2, "What\nnow?"),
        ("What<|eot_id|>?<|start_header_id|>", 0, "What?"),
        ("What does <image> mean?", 0, "What does <image> mean?"),
        ("<image> or <image>?", 1, "<image> or <image>?"),
    ],
)
def test_the_questions_ids_are_the_users_words(tmp_path, question, n_images, words, adds_bos):
    one = tokenizer(tmp_path, adds_bos=adds_bos)
    ids = question_ids(one, question, n_images)
    assert ids.dtype == torch.int64
    assert one.decode(ids) == words
    assert torch.equal(ids, question_ids(one.backend_tokenizer, question, n_images))


@pytest.mark.parametrize("style", [ChatStyle(), OURS], ids=["released", "ours"])
def test_the_questions_ids_stand_in_the_prompt_as_they_are(tmp_path, style):
    one = tokenizer(tmp_path)
    words, prompt = question_ids(one, "What is it?").tolist(), prompt_ids(one, "What is it?", style).tolist()
    at = prompt.index(IMAGE_TOKEN_ID) + 1
    at += one.decode(prompt[at]) == "\n"
    assert prompt[at : at + len(words)] == words
    assert one.decode(prompt[at + len(words)]) == "<|eot_id|>"


@pytest.mark.parametrize("question", ["", " \n", "<image>", "<|eot_id|>"])
def test_a_question_without_words_is_refused(tmp_path, question):
    with pytest.raises(ValueError, match="has no words"):
        question_ids(tokenizer(tmp_path), question)
