"""Variants that drop patches inside the language model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from shirg_bench.accuracy.late import Late
from shirg_bench.accuracy.measure import open_bench
from shirg_bench.accuracy.pages import draw, encode_pages
from shirg_bench.accuracy.prefixes import ask
from shirg_bench.accuracy.variant import Variant
from shirg_lavida.checkpoint.embedded import named
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.testbed.pages.tokenizer import build_tokenizer

from .accuracy_setup import DATA

SEEDS = (5, 6)


@pytest.fixture(scope="module")
def batch(model):
    return draw(model, build_tokenizer(), DATA, "hard", range(len(SEEDS)))


@pytest.mark.parametrize("late", [Late("fastv", 1 / 3, 1), Late("redvtp", 1 / 3)], ids=lambda late: late.method)
def test_as_many_patches_survive_as_a_selector_keeps_and_newlines_stay(model, batch, late):
    asked = ask(model, batch, encode_pages(model, batch.images, "page"), Variant(late=late), SEEDS)
    rows, entries, _ = asked.prefix.shape
    out = model.generate(asked.prefix, answer_length=6, pruning=asked.pruning)
    layers, key_values, floats, d = 2, 2, 4, 24
    kept = entries - 196 + 65
    seen = entries + kept if late.method == "fastv" else layers * kept
    assert sum(answer.kv_bytes for answer in out) == rows * seen * key_values * floats * d
    assert asked.kept == [65] * rows
    assert asked.visual == [65 + 14] * rows
    assert all(math.isnan(share) for share in asked.shown)


def test_what_is_dropped_late_decides_the_answers(tmp_path):
    bench = open_bench(Path(named("micro")), tmp_path)
    variants = [Variant(), Variant(late=Late("fastv", 1 / 12)), Variant(late=Late("redvtp", 1 / 196))]
    whole, fastv, redvtp = (answers.given.tolist() for answers in bench.answers(variants, "hard", 4))
    assert fastv != whole
    assert redvtp != whole
    assert fastv != redvtp


def test_rows_say_what_is_dropped_late_and_others_are_as_they_were():
    assert "late" not in Variant().facts()
    facts = Variant(late=Late("fastv", 0.25, 2)).facts()
    assert facts["late"] == {"method": "fastv", "budget": 0.25, "layer": 2}
    assert facts["budget"] == 0.25


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Late("fast", 0.5), "fastv, redvtp, got 'fast'"),
        (lambda: Late("fastv", 1.5), "got 1.5"),
        (lambda: Variant(PolicyConfig("v2", 0.5), late=Late("fastv", 0.5)), "policy baseline and a cache, got v2-0.5"),
        (lambda: Variant(cache=False, late=Late("fastv", 0.5)), "policy baseline and a cache, got baseline, False"),
    ],
)
def test_what_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()
