"""The shipped models and adapters read pages that nobody trained on."""

from __future__ import annotations

import numpy as np
import pytest

from shirg_bench.accuracy.measure import open_bench
from shirg_bench.accuracy.variant import Variant
from shirg_lavida.checkpoint.embedded import ADAPTERS, embedded
from shirg_train.keep_ratio import PolicyConfig

FULL, POOLING = Variant(), Variant(PolicyConfig("pooling"))
PAGES = 32


def test_unseen_pages_are_read_and_selection_beats_pooling(tmp_path):
    bench = open_bench(embedded("micro"), tmp_path)
    answers = bench.answers([FULL, Variant(PolicyConfig("v2", 1 / 3)), POOLING], "easy", PAGES)
    full, selected, pooled = (each.correct.mean() for each in answers)
    assert full >= 0.85
    assert selected >= 0.8
    assert selected >= pooled + 0.2


@pytest.mark.parametrize("name", ["micro-joint", "micro-full"])
def test_the_other_models_read_unseen_pages(tmp_path, name):
    answers = open_bench(embedded(name), tmp_path).answers([FULL, POOLING], "easy", PAGES)
    full, pooled = (each.correct.mean() for each in answers)
    assert full >= 0.85
    assert full >= pooled + 0.2


def test_the_shipped_adapters_help_the_model_they_belong_to(tmp_path):
    names = ("micro-lora", "micro-lora-language")
    folders = {name: embedded(name, ADAPTERS) for name in names}
    bench = open_bench(embedded("micro-full"), tmp_path, adapters=folders)
    assert bench.adapters == dict.fromkeys(names, "packed")
    asked = [(None, 1 / 3), ("micro-lora", 1 / 3), ("micro-lora-language", 1 / 3), ("micro-lora-language", 1 / 12)]
    variants = [Variant(PolicyConfig("v2", budget), adapter=adapter, nll_times=2) for adapter, budget in asked]
    plain, projector, *language = bench.answers(variants, "easy", PAGES)
    assert nll(projector) < 0.8 * nll(plain)
    assert projector.correct.mean() > plain.correct.mean() + 0.1
    for each in language:
        assert nll(each) < 0.2 * nll(plain)
        assert each.correct.mean() >= 0.85


def nll(answers):
    """In nats per token."""
    return np.sum(answers.nll) / np.sum(answers.scored)
