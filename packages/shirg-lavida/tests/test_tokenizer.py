import json

import pytest
import torch

from shirg_lavida.families.llada import LLADA
from shirg_lavida.prompt.tokenizer import answer_text, load_tokenizer, stop_ids
from shirg_lavida.testing import EOS_ID, MASK_ID, VOCAB_SIZE, tiny_lavida, write_tiny_tokenizer

END_OF_TURN = LLADA.turns.end_token
CONFIG = tiny_lavida(side=6, patch_size=4).config


@pytest.fixture
def tokenizer(tmp_path):
    return load_tokenizer(write_tiny_tokenizer(tmp_path), VOCAB_SIZE)


def ids(tokenizer, text):
    return torch.tensor(tokenizer(text).input_ids)


def test_round_trip(tokenizer):
    assert tokenizer.decode(ids(tokenizer, "Total: 42 (net)")) == "Total: 42 (net)"
    assert tokenizer.convert_tokens_to_ids("<|mdm_mask|>") == MASK_ID


def test_text_ends_at_the_first_stop_and_skips_masks(tokenizer, monkeypatch):
    with monkeypatch.context() as patch:
        # Copying a real vocabulary takes a tenth of a second, and every answer asks.
        patch.setattr(type(tokenizer), "get_vocab", None)
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
