import copy
import json

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from shirg_lavida.families.llada import LLADA
from shirg_lavida.families.registry import FAMILIES
from shirg_lavida.prompt.chat import SYSTEM_PROMPT
from shirg_lavida.prompt.light_tokenizer import LightTokenizer
from shirg_lavida.prompt.tokenizer import answer_text, load_tokenizer, stop_ids
from shirg_lavida.testing import EOS_ID, MASK_ID, VOCAB_SIZE, tiny_lavida, write_tiny_tokenizer

END_OF_TURN = LLADA.turns.end_token
CONFIG = tiny_lavida(side=6, patch_size=4).config


@pytest.fixture(params=["light", "transformers"])
def tokenizer(tmp_path, request):
    light = load_tokenizer(write_tiny_tokenizer(tmp_path), VOCAB_SIZE)
    assert isinstance(light, LightTokenizer)
    return light if request.param == "light" else light.full


def ids(tokenizer, text):
    return torch.tensor(tokenizer(text).input_ids)


def test_round_trip(tokenizer):
    assert tokenizer.decode(ids(tokenizer, "Total: 42 (net)")) == "Total: 42 (net)"
    assert tokenizer.convert_tokens_to_ids("<|mdm_mask|>") == MASK_ID


def test_text_ends_at_the_first_stop_and_skips_masks(tokenizer, monkeypatch):
    with monkeypatch.context() as patch:
        # Copying a real vocabulary takes a tenth of a second, and every answer asks.
        patch.setattr(PreTrainedTokenizerFast, "get_vocab", None)
        stops = stop_ids(tokenizer, CONFIG)
    assert stops == {EOS_ID, tokenizer.convert_tokens_to_ids(END_OF_TURN)}
    mask = torch.tensor([MASK_ID])
    for stop in stops:
        answer = torch.cat(
            [ids(tokenizer, " 4"), mask, ids(tokenizer, "2 "), torch.tensor([stop]), ids(tokenizer, "x")]
        )
        assert answer_text(tokenizer, answer, stops=stops, mask_id=MASK_ID) == "42"


def test_a_tokenizer_without_end_of_turn_stops_at_end_of_text(tmp_path):
    write_tiny_tokenizer(tmp_path)
    whole = json.loads((tmp_path / "tokenizer.json").read_text())
    del whole["model"]["vocab"][END_OF_TURN]
    whole["added_tokens"] = [t for t in whole["added_tokens"] if t["content"] != END_OF_TURN]
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
    assert stop_ids(load_tokenizer(tmp_path, VOCAB_SIZE), CONFIG) == {EOS_ID}


def test_missing_damaged_or_too_large(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no tokenizer .* tokenizer\.json is missing"):
        load_tokenizer(tmp_path, VOCAB_SIZE)
    write_tiny_tokenizer(tmp_path)
    with pytest.raises(ValueError, match="has 256 tokens, the model only 100"):
        load_tokenizer(tmp_path, 100)
    whole = (tmp_path / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is not JSON"):
        load_tokenizer(tmp_path, VOCAB_SIZE)
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(ValueError, match="is damaged"):
        load_tokenizer(tmp_path, VOCAB_SIZE)


TEXTS = ["What is the total?", "  two\n\nlines  ", f"{END_OF_TURN} and <|startoftext|> é", ""]
CONVERSATION = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": " <image 0>\nTotal? "}]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("adds_bos", [False, True])
def test_light_encodes_as_transformers_does(tmp_path, text, adds_bos):
    light = load_tokenizer(write_tiny_tokenizer(tmp_path, adds_bos=adds_bos), VOCAB_SIZE)
    assert isinstance(light, LightTokenizer)
    assert (len(light), light.bos_token_id) == (len(light.full), light.full.bos_token_id)
    for special in (True, False):
        found = light(text, add_special_tokens=special).input_ids
        assert found == light.full(text, add_special_tokens=special).input_ids
        for skip in (True, False):
            assert light.decode(found, skip_special_tokens=skip) == light.full.decode(found, skip_special_tokens=skip)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_family_s_layout_needs_no_template_engine(tmp_path, monkeypatch, family):
    turns, asked = family.turns, {"tokenize": False, "add_generation_prompt": True}
    own = {"chat_template": turns.released_template} if turns.start == LLADA.turns.start else {}
    light = load_tokenizer(write_tiny_tokenizer(tmp_path, **own), VOCAB_SIZE)
    template = light.chat_template or turns.template
    expected = light.full.apply_chat_template(CONVERSATION, chat_template=template, **asked)
    monkeypatch.setattr(type(light), "full", None)
    assert light.apply_chat_template(CONVERSATION, chat_template=template, **asked) == expected


def test_whatever_says_more_is_left_to_transformers(tmp_path):
    for more in (
        {"chat_template": "{{ messages }}"},
        {"add_bos_token": True},
        {"clean_up_tokenization_spaces": True},
        {"eos_token": "<|new|>"},
        {"tokenizer_class": "LlamaTokenizerFast"},
        {"bos_token": {"__type": "AddedToken", "content": LLADA.turns.start}},
    ):
        assert isinstance(load_tokenizer(write_tiny_tokenizer(tmp_path, **more), 300), PreTrainedTokenizerFast), more
    write_tiny_tokenizer(tmp_path)
    (tmp_path / "added_tokens.json").write_text("{}")
    assert isinstance(load_tokenizer(tmp_path, VOCAB_SIZE), PreTrainedTokenizerFast)


def test_light_has_all_that_transformers_has_and_can_be_copied(tokenizer):
    again = copy.deepcopy(tokenizer)
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again("42").input_ids == tokenizer("42").input_ids
