"""Answers: right, shared, resumable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from shirg_bench.accuracy import answering, measure
from shirg_bench.accuracy.pages import draw_pages_of
from shirg_bench.accuracy.variant import Variant
from shirg_lavida.model import LavidaModel
from shirg_lavida.pipeline import LavidaPipeline
from shirg_train.keep_ratio import PolicyConfig, build_policy
from shirg_train.testbed.micro.batches import ANSWER_LENGTH
from shirg_train.testbed.micro.samples import checkpoint_folder
from shirg_train.testbed.pages.tokens import TEMPLATES

from .accuracy_setup import DATA, tiny_bench, write_micro

VARIANTS = [Variant(), Variant(PolicyConfig("v2", 1 / 6)), Variant(PolicyConfig("random", 9))]


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(measure, "CHUNK", 2)


@pytest.fixture
def asked(monkeypatch):
    """Every chunk that is computed, by variant."""
    calls = []
    ask = answering.ask

    def counted(model, batch, seen, variant, seeds, *rest):
        calls.append((variant.policy.name, len(seeds)))
        return ask(model, batch, seen, variant, seeds, *rest)

    monkeypatch.setattr(answering, "ask", counted)
    return calls


def same(some, others):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(some, others, strict=True)
        for name in ("given", "correct", "kept", "visual")
    )


def test_answers_are_those_of_the_pipeline(tmp_path):
    # The embedded model, because an untrained one gives every answer wrong.
    policies = [PolicyConfig("baseline"), PolicyConfig("pooling"), PolicyConfig("v2", 1 / 6), PolicyConfig("v3", 20)]
    bench = tiny_bench(checkpoint_folder(), tmp_path)
    ours = bench.answers([Variant(policy) for policy in policies], "easy", 3)
    pages = draw_pages_of(bench.models[None], DATA, "easy", range(3))
    pipe = LavidaPipeline.from_pretrained(checkpoint_folder(), dtype=torch.float32)
    for policy, mine in zip(policies, ours, strict=True):
        selecting = replace(pipe, selector=build_policy(policy, 0, pipe.views).selector)
        for page, question in np.ndindex(3, 2):
            image, words = pages.image(page), pages.question(page, question, TEMPLATES[0])
            theirs = selecting(image, words, max_new_tokens=ANSWER_LENGTH)
            assert mine.correct[page, question] == (theirs.text == pages.answer(page, question))
            assert mine.visual[page, question] == theirs.visual_tokens
        assert mine.given.shape == (3, 2, 6)
    assert [set(mine.visual.flat) for mine in ours[:2]] == [{14 * 14 + 14}, {7 * 7 + 7}]
    assert ours[0].correct.any()


@pytest.mark.usefixtures("small_chunks")
def test_only_what_is_missing_is_computed(micro, tmp_path, asked):
    bench = tiny_bench(micro, tmp_path / "store")
    first = bench.answers(VARIANTS[:2], "hard", 3)
    assert len(asked) == 2 * 2
    asked.clear()
    assert same(first, bench.answers(VARIANTS[:2], "hard", 3))
    assert asked == []
    bench.answers(VARIANTS, "hard", 4)
    # The half chunk of page 3 is another one, the new variant has none yet.
    assert asked == [("random-9", 2), *[(variant.policy.name, 2) for variant in VARIANTS]]


@pytest.mark.usefixtures("small_chunks")
def test_an_interrupted_run_loses_at_most_a_chunk(micro, tmp_path, asked):
    whole = tiny_bench(micro, tmp_path / "whole").answers(VARIANTS, "hard", 4)
    asked.clear()
    left = iter(range(4))

    def stop_after_four():
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny_bench(micro, tmp_path / "store").answers(VARIANTS, "hard", 4, stop_after_four)
    done = len(asked)
    assert same(whole, tiny_bench(micro, tmp_path / "store").answers(VARIANTS, "hard", 4))
    assert len(asked) == done + (6 - done)


@pytest.mark.parametrize("change", ["seed", "weights", "tier", "code"])
def test_other_conditions_are_other_answers(micro, tmp_path, asked, monkeypatch, change):
    tiny_bench(micro, tmp_path / "store").answers(VARIANTS[2:], "easy", 1)
    if change == "code":
        monkeypatch.setattr(measure, "source_digest", lambda _: "edited")
    folder = write_micro(tmp_path / "other", seed=1) if change == "weights" else micro
    bench = tiny_bench(folder, tmp_path / "store", seed=int(change == "seed"))
    bench.answers(VARIANTS[2:], "hard" if change == "tier" else "easy", 1)
    assert len(asked) == 2


def test_the_cache_changes_no_answer(tmp_path, monkeypatch):
    told = []
    generate = LavidaModel.generate

    def spied(model, prefix, **options):
        told.append((options["cache"], options["attention"]))
        return generate(model, prefix, **options)

    monkeypatch.setattr(LavidaModel, "generate", spied)
    variants = [Variant(), Variant(cache=False), Variant(cache=False, attention="full")]
    cached, uncached, _ = tiny_bench(checkpoint_folder(), tmp_path).answers(variants, "easy", 2)
    assert told == [(True, "prefix"), (False, "prefix"), (False, "full")]
    assert same([cached], [uncached])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "far"}, "source must be one of page, blurred, half, pooled, got 'far'"),
        ({"newline": "col"}, "newline must be one of row, none, view, got 'col'"),
        ({"attention": "full"}, "attention must be prefix, or full without cache, got 'full', True"),
    ],
)
def test_a_variant_refuses_what_it_does_not_know(options, message):
    with pytest.raises(ValueError, match=message):
        Variant(**options)


def test_no_page_is_an_error():
    with pytest.raises(ValueError, match="pages must be ≥ 1, got 0"):
        measure.chunks(0)
