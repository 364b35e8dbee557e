import json

import pytest
from tokenizers import Tokenizer, models

from shirg_train.testbed.pages.tokenizer import SPECIAL, SpecialIds, build_tokenizer, save_tokenizer
from shirg_train.testbed.pages.words import LABELS

tokenizer = build_tokenizer()


def test_every_label_is_one_token_in_a_sentence():
    for label in LABELS:
        assert f" {label}" in tokenizer.encode(f"What is the {label}?").tokens


@pytest.mark.parametrize("text", ["482.7", "37%", "what is the zorp?", "a b  c", "total: 12/3-4\n\n"])
def test_text_survives_and_figures_stand_alone(text):
    encoded = tokenizer.encode(text)
    assert tokenizer.decode(encoded.ids) == text
    assert all(len(token) == 1 for token in encoded.tokens if any(ch.isdigit() for ch in token))


def test_case_does_not_matter_and_unknown_characters_are_marked():
    assert tokenizer.encode("TOTAL").ids == tokenizer.encode("total").ids
    assert "<|unknown|>" in [tokenizer.id_to_token(i) for i in tokenizer.encode("é").ids]


def test_special_tokens_are_single_and_found_by_name():
    ids = SpecialIds.of(tokenizer)
    assert len({ids.mask, ids.eos, ids.eot, ids.bos, ids.start_header, ids.end_header}) == 6
    assert [len(tokenizer.encode(name).ids) for name in SPECIAL] == [1] * len(SPECIAL)
    with pytest.raises(ValueError, match="mdm_mask"):
        SpecialIds.of(Tokenizer(models.BPE()))


def test_the_saved_folder_loads_as_a_transformers_tokenizer(tmp_path):
    from transformers import AutoTokenizer

    save_tokenizer(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    asked = loaded.apply_chat_template(
        [{"role": "user", "content": " What is the total? "}], add_generation_prompt=True, tokenize=False
    )
    assert asked == (
        "<|startoftext|><|start_header_id|>user<|end_header_id|>\n\nWhat is the total?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    ids = SpecialIds.of(tokenizer)
    assert (loaded.mask_token_id, loaded.eos_token_id, loaded.bos_token_id) == (ids.mask, ids.eos, ids.bos)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["pad_token"] == loaded.eos_token
    assert loaded(asked, add_special_tokens=False)["input_ids"] == tokenizer.encode(asked).ids
