"""Validation NLL of pages: each page's own, whoever shares its batch."""

from __future__ import annotations

import math

import pytest
import torch

from shirg_bench.accuracy.likelihood import page_nll
from shirg_bench.accuracy.pages import draw, encode_pages
from shirg_bench.accuracy.prefixes import ask
from shirg_bench.accuracy.rows import Run, score_row
from shirg_bench.accuracy.variant import Variant
from shirg_lavida.checkpoint.load import load_lavida
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.testbed.micro.build import build_model
from shirg_train.testbed.pages.tokenizer import build_tokenizer

from .accuracy_setup import DATA, SIZE, tiny_bench

GATE = PolicyConfig("v2", 1 / 6)
SEEDS = (5, 6, 7)


@pytest.mark.parametrize("positions", ["packed", "original"])
def test_a_page_has_the_same_nll_alone_and_in_a_batch(micro, positions):
    model = load_lavida(micro, dtype=torch.float32)
    variant = Variant(GATE, positions=positions)

    def nll(pages, seeds):
        batch = draw(model, build_tokenizer(), DATA, "hard", pages)
        asked = ask(model, batch, encode_pages(model, batch.images, "page"), variant, seeds)
        return asked.prefix, page_nll(model, asked.prefix, batch.answers, 3, seeds)

    prefix, together = nll(range(3), SEEDS)
    assert prefix.mask is not None, "the batch was to have prefixes of different length"
    for page, seed in enumerate(SEEDS):
        _, alone = nll(range(page, page + 1), (seed,))
        torch.testing.assert_close(alone[0], together[page], rtol=1e-4, atol=1e-4)


def test_rows_have_it_where_it_is_measured(micro, tmp_path):
    bench = tiny_bench(micro, tmp_path)
    variants = [Variant(GATE), Variant(GATE, nll_times=2), Variant(nll_times=2)]
    silent, measured, other = bench.answers(variants, "easy", 6)
    run = Run(bench, ["easy"], 6, "untrained", "")
    assert "nll" not in score_row(run, "easy", variants[0], silent)
    row = score_row(run, "easy", variants[1], measured)
    assert row["nll_times"] == 2
    assert row["exact_match"] == score_row(run, "easy", variants[0], silent)["exact_match"]
    # Nothing was learned: about as surprised as by a draw from the whole vocabulary.
    assert row["nll"] == pytest.approx(math.log(bench.models[None].config.language.vocab_size), rel=0.5)
    assert score_row(run, "easy", variants[2], other)["nll"] != row["nll"]


def test_it_is_not_promised_where_it_cannot_be_measured():
    with pytest.raises(ValueError, match="nll_times needs prefix attention"):
        Variant(GATE, nll_times=2, attention="full", cache=False)


def test_an_untrained_model_is_as_surprised_as_by_a_draw_from_the_vocabulary():
    tokenizer = build_tokenizer()
    model = build_model(SIZE, tokenizer, 0).eval()
    batch = draw(model, tokenizer, DATA, "easy", range(6))
    encoded = encode_pages(model, batch.images, "page")
    uniform = math.log(model.config.language.vocab_size)
    found = []
    for policy in (PolicyConfig("baseline"), PolicyConfig("random", 0.25)):
        asked = ask(model, batch, encoded, Variant(policy), range(6))
        total, normaliser = page_nll(model, asked.prefix, batch.answers, 4, range(6)).sum(0).tolist()
        found.append(total / normaliser)
    assert found == pytest.approx([uniform] * 2, rel=0.25)
    assert found[0] != found[1]
