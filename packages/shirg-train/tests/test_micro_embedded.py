"""The shipped checkpoints answer questions, and the shipped samples show what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from shirg_core import shirg_v2
from shirg_core.baselines import Pooling
from shirg_lavida.checkpoint.embedded import ADAPTERS, DEFAULT, embedded
from shirg_lavida.pipeline import LavidaPipeline
from shirg_train.testbed.micro.batches import ANSWER_LENGTH
from shirg_train.testbed.micro.config import DataConfig, SizeConfig
from shirg_train.testbed.micro.samples import checkpoint_folder, listed_samples, write_samples
from shirg_train.testbed.pages.batch import QUESTION
from shirg_train.testbed.pages.config import Tier, split_seed
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokenizer import build_tokenizer
from shirg_train.testbed.pages.tokens import TEMPLATES


@pytest.fixture(scope="module")
def pipe() -> LavidaPipeline:
    return LavidaPipeline.from_pretrained(checkpoint_folder(), dtype=torch.float32)


def test_assets_fit_their_budget() -> None:
    files = [file for file in checkpoint_folder().parent.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 12_000_000
    assert (checkpoint_folder().parent / "training_log.jsonl") in files


def test_checkpoint_is_bfloat16_and_brings_its_own_tokenizer(pipe: LavidaPipeline) -> None:
    stored = LavidaPipeline.from_pretrained(checkpoint_folder())
    assert {p.dtype for p in stored.model.parameters()} == {torch.bfloat16}
    text = "What is the total?"
    assert pipe.tokenizer(text).input_ids == build_tokenizer().encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("name", ["micro", "micro-joint"])
def test_the_answer_does_not_depend_on_how_long_it_may_be(name: str) -> None:
    folder = embedded(name)
    assert folder is not None
    other = LavidaPipeline.from_pretrained(folder, selector=shirg_v2(budget=1 / 3))
    page = Image.open(Path(__file__).parents[3] / "examples" / "bars.png").convert("RGB")
    for length in (6, 7, 48, 128):
        assert other(page, "What is the value of bolts?", max_new_tokens=length).text == "882", length


@pytest.mark.parametrize("name", ["micro-lora", "micro-lora-language"])
def test_an_adapter_is_refused_by_another_model(name: str) -> None:
    with pytest.raises(ValueError, match="other projector weights"):
        LavidaPipeline.from_pretrained(checkpoint_folder(), adapter=embedded(name, ADAPTERS))


def test_samples_show_what_they_say(tmp_path: Path) -> None:
    folder = embedded(DEFAULT)
    assert folder is not None
    pipe = LavidaPipeline.from_pretrained(folder, dtype=torch.float32)
    written = write_samples(tmp_path)
    assert written == json.loads((tmp_path / "samples.json").read_text(encoding="utf-8"))
    listed = listed_samples()
    assert 4 <= len(written) == len(listed) <= 6
    assert any(sample["pooled"] == "wrong" for sample in listed)
    for sample, entry in zip(listed, written, strict=True):
        with Image.open(tmp_path / entry["image"]) as image:
            page = image.copy()
        gate = LavidaPipeline(pipe.model, pipe.tokenizer, shirg_v2(1 / 3), pipe.views, chat=pipe.chat)
        assert gate(page, entry["question"], max_new_tokens=ANSWER_LENGTH).text == entry["answer"]
        pooled = LavidaPipeline(pipe.model, pipe.tokenizer, Pooling(), pipe.views, chat=pipe.chat)
        answered = pooled(page, entry["question"], max_new_tokens=ANSWER_LENGTH).text
        assert (answered == entry["answer"]) == (sample["pooled"] == "right")


@pytest.mark.parametrize("tier", ["easy", "hard"])
def test_the_question_that_users_are_shown_is_answered_like_the_trained_one(pipe: LavidaPipeline, tier: Tier) -> None:
    page = draw_pages(DataConfig().pages(SizeConfig(), tier), [split_seed("test", i) for i in range(6)])
    asked = [(i, q) for i in range(6) for q in range(2)]
    right = {
        template: sum(
            pipe(page.image(i), page.question(i, q, template), max_new_tokens=ANSWER_LENGTH).text == page.answer(i, q)
            for i, q in asked
        )
        for template in (QUESTION, TEMPLATES[0])
    }
    assert abs(right[QUESTION] - right[TEMPLATES[0]]) <= 1
    assert right[QUESTION] >= 10


def test_the_library_takes_embedded_names_and_dtypes_by_name_too() -> None:
    pipe = LavidaPipeline.from_pretrained("micro-full", dtype="float32", adapter="micro-lora")
    own = LavidaPipeline.from_pretrained(
        embedded("micro-full"), dtype=torch.float32, adapter=embedded("micro-lora", ADAPTERS)
    )
    assert pipe.positions == own.positions
    for name, weight in own.model.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, pipe.model.state_dict()[name]), name
    with pytest.raises(ValueError, match=r"dtype must be a floating torch dtype, float64, .*, got 'float8'"):
        LavidaPipeline.from_pretrained("micro-joint", dtype="float8")
