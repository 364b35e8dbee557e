import pytest

from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_train.data.chat import Encode, Exchange
from shirg_train.data.chat import prompt_ids as chat_prompt
from shirg_train.data.record import IMAGE_PLACEHOLDER
from shirg_train.testbed.pages.config import PageConfig
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokenizer import SpecialIds, build_tokenizer
from shirg_train.testbed.pages.tokens import TEMPLATES, answer_ids, prompt_table
from shirg_train.testbed.pages.words import LABELS

tokenizer = build_tokenizer()


@pytest.fixture(scope="module")
def batch():
    return draw_pages(PageConfig(), range(8))


@pytest.mark.parametrize("template", TEMPLATES)
def test_prompts_are_what_the_chat_template_gives(template):
    table = prompt_table(tokenizer, template)
    for label in ("total", "qty"):
        exchange = Exchange(f"{IMAGE_PLACEHOLDER}\n{template.format(label)}", "", 1)
        expected = chat_prompt([exchange], Encode(tokenizer))
        assert table[LABELS.index(label)].tolist() == expected.tolist()
    assert (table == IMAGE_TOKEN_ID).sum(1).tolist() == [1] * len(LABELS)


def test_a_template_of_uneven_length_is_refused():
    with pytest.raises(ValueError, match="different lengths"):
        prompt_table(tokenizer, "the un{}")


def test_answers_are_characters_then_end_of_turn_then_end_of_text(batch):
    special = SpecialIds.of(tokenizer)
    ids = answer_ids(batch, tokenizer, length=8)
    for page in range(len(batch)):
        for q in range(ids.shape[1]):
            answer = batch.answer(page, q)
            n = len(answer)
            assert ids[page, q, :n].tolist() == tokenizer.encode(answer).ids
            assert ids[page, q, n] == special.eot
            assert (ids[page, q, n + 1 :] == special.eos).all()
    with pytest.raises(ValueError, match="at least 6"):
        answer_ids(batch, tokenizer, length=5)
