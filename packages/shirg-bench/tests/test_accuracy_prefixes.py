"""What a chunk's prefixes hold, page by page and question by question."""

from __future__ import annotations

import math

import pytest
import torch

from shirg_bench.accuracy import prefixes
from shirg_bench.accuracy.pages import draw, encode_pages
from shirg_bench.accuracy.prefixes import ask
from shirg_bench.accuracy.variant import Variant
from shirg_core import shirg_v2
from shirg_core.methods import METHODS
from shirg_lavida.checkpoint.load import load_lavida
from shirg_lavida.prompt.chat import question_ids
from shirg_train.keep_ratio import Policy, PolicyConfig
from shirg_train.testbed.micro.visual import VIEWS
from shirg_train.testbed.pages.config import split_seed
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokenizer import build_tokenizer
from shirg_train.testbed.pages.tokens import TEMPLATES

from .accuracy_setup import DATA, SIZE, write_micro

SEEDS = (5, 6, 7)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_lavida(write_micro(tmp_path_factory.mktemp("micro") / "micro"), dtype=torch.float32)


@pytest.fixture(scope="module")
def batch(model):
    return draw(model, build_tokenizer(), DATA, "hard", range(len(SEEDS)))


@pytest.mark.parametrize(
    "policy",
    [PolicyConfig("baseline"), PolicyConfig("pooling"), PolicyConfig("v2", 1 / 6), PolicyConfig("top-edge", 41)],
    ids=lambda policy: policy.name,
)
def test_counts_and_shown_values_are_each_question_s_own(model, batch, policy):
    """Read off the selections: a page's one selection is shared by its questions where nothing reads them."""
    asked = ask(model, batch, encode_pages(model, batch.images, "page"), Variant(policy), SEEDS)
    questions = batch.answers.shape[1]
    for row, selection in enumerate(asked.prefix.selections):
        patches = [at for at in batch.pointers[divmod(row, questions)].tolist() if at >= 0]
        assert patches
        kept = range(196) if selection is None else selection.indices[0].tolist()
        assert asked.kept[row] == len(kept)
        assert asked.visual[row] == asked.prefix.visual_tokens[row] > len(kept)
        if policy.method == "pooling":
            assert math.isnan(asked.shown[row])
        else:
            assert asked.shown[row] == pytest.approx(sum(at in kept for at in patches) / len(patches))
    first, second = (asked.prefix.selections[row] for row in (0, 1))
    if policy.method == "v2":
        assert not torch.equal(first.scores, second.scores)
    elif first is not None:
        assert torch.equal(first.scores, second.scores)


def test_random_tokens_are_drawn_for_each_page_from_its_seed(model, batch):
    encoded = encode_pages(model, batch.images, "page")
    variant = Variant(PolicyConfig("random", 20))
    first, again, other = (ask(model, batch, encoded, variant, seeds).prefix for seeds in (SEEDS, SEEDS, (8, 6, 7)))
    chosen = [selection.indices.tolist() for selection in first.selections]
    assert chosen[0] == chosen[1]
    assert chosen[0] != chosen[2]
    assert chosen == [selection.indices.tolist() for selection in again.selections]
    assert [selection.indices.tolist() for selection in other.selections][2:] == chosen[2:]
    assert other.selections[0].indices.tolist() != chosen[0]


def test_v2_can_weigh_its_summary_by_attention(model, batch):
    encoded = encode_pages(model, batch.images, "page")
    mean, weighted = (
        ask(model, batch, encoded, Variant(PolicyConfig("v2", 20, options={"summary": s})), SEEDS).prefix.selections[0]
        for s in ("mean", "attention")
    )
    assert mean.indices.tolist() == weighted.indices.tolist()
    assert not torch.allclose(mean.summary, weighted.summary)


def test_a_prefix_within_pooling_is_never_longer(model, batch):
    from shirg_bench.accuracy.budgets import entries

    encoded = encode_pages(model, batch.images, "page")
    table = entries(model.config.vision.side)
    pooled = ask(model, batch, encoded, next(e.variant for e in table if e.method == "pooling"), SEEDS)
    for entry in (entry for entry in table if entry.group == "pooled-prefix"):
        assert max(ask(model, batch, encoded, entry.variant, SEEDS).visual) <= min(pooled.visual)


def test_a_selector_sees_the_question_s_words_alone(model, batch, monkeypatch):
    seen = []

    def spy(features, layout, *, text=None, **inputs):
        seen.extend(text)
        return shirg_v2(budget=0.25)(features, layout, text=text, **inputs)

    monkeypatch.setattr(prefixes, "build_policy", lambda *_: Policy("v2", METHODS["v2"], spy, VIEWS))
    ask(model, batch, encode_pages(model, batch.images, "page"), Variant(PolicyConfig("v2", 0.25)), SEEDS)
    pages = draw_pages(DATA.pages(SIZE, "hard"), [split_seed("test", place) for place in range(len(SEEDS))])
    asked = [TEMPLATES[0].format(pages.label(page, i)) for page in range(len(SEEDS)) for i in range(DATA.questions)]
    tokenizer = build_tokenizer()
    expected = [model.backbone.embed(question_ids(tokenizer, question)[None])[0] for question in asked]
    assert len(seen) == len(expected)
    assert all(map(torch.equal, seen, expected))
