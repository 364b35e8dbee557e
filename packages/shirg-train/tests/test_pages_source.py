import io
import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from shirg_train.data import DataConfig, Encode, open_data, open_source
from shirg_train.testbed.micro.config import DataConfig as MicroData
from shirg_train.testbed.micro.config import SizeConfig
from shirg_train.testbed.pages.config import split_seed
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokenizer import build_tokenizer
from shirg_train.testbed.pages.tokens import answer_ids, prompt_table
from shirg_train.testbed.pages_source import PagesConfig, PagesSource


def test_pages_are_the_training_split_s_in_turn():
    source = PagesSource(PagesConfig(4, tiers=("plain", "cluttered")))
    assert source.config == PagesConfig(4, tiers=("easy", "hard")), "a resumed run has the same pages"
    assert len(source) == 4
    for index, tier in enumerate(("easy", "hard", "easy")):
        page = draw_pages(MicroData().pages(SizeConfig(), tier), [split_seed("train", index)])
        record = source.read(index)
        with Image.open(io.BytesIO(record.images[0])) as image:
            assert np.array_equal(np.asarray(image.convert("L")), page.images[0])
        assert [turn.text for turn in record.turns[::2]] == [f"What is the {page.label(0, i)}?" for i in range(4)]
        assert [turn.text for turn in record.turns[1::2]] == [page.answer(0, i) for i in range(4)]


def test_prompts_and_answers_are_those_the_micro_model_learnt():
    tokenizer = build_tokenizer()
    config = DataConfig(pages=PagesConfig(3), system=None, workers=0)
    opened = open_data(config, Encode(tokenizer))
    table = prompt_table(tokenizer)
    for sample in itertools.islice(opened.stream, 3):
        index = int(sample.key.removeprefix("page-"))
        page = draw_pages(config.pages.page_config(("easy", "hard")[index % 2]), [split_seed("train", index)])
        answers = answer_ids(page, tokenizer)[0]
        asked = [
            q for q in range(4) if torch.equal(sample.prompt_ids, torch.from_numpy(table[page.question_labels[0, q]]))
        ]
        assert len(asked) == 1
        assert sample.answer_ids.tolist() == answers[asked[0]][: len(sample.answer_ids)].tolist()


def test_either_pages_or_a_path(tmp_path):
    for settings in ({}, {"path": tmp_path, "pages": PagesConfig(1)}):
        with pytest.raises(ValueError, match="either path or pages"):
            DataConfig(**settings)
    with pytest.raises(ValueError, match="'harder'"):
        PagesConfig(1, tiers=("harder",))
    assert len(open_source(DataConfig(pages=PagesConfig(5)))) == 5
