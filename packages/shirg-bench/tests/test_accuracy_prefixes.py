"""What a chunk's prefixes hold, page by page and question by question."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from shirg_bench.accuracy import prefixes
from shirg_bench.accuracy.pages import draw, encode_pages
from shirg_bench.accuracy.prefixes import ask
from shirg_bench.accuracy.variant import Variant
from shirg_core import ViewLayout, shirg_v2, shirg_v3
from shirg_core.methods import METHODS
from shirg_lavida.checkpoint.load import load_lavida
from shirg_lavida.prompt.chat import question_ids
from shirg_lavida.vision.views import normalize, to_unit
from shirg_train.keep_ratio import Policy, PolicyConfig
from shirg_train.testbed.micro.visual import VIEWS
from shirg_train.testbed.pages.config import split_seed
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokenizer import build_tokenizer
from shirg_train.testbed.pages.tokens import TEMPLATES

from .accuracy_setup import DATA, SIZE, write_micro

SEEDS = (5, 6, 7)


@pytest.fixture(scope="module")
def batch(model):
    return draw(model, build_tokenizer(), DATA, "hard", range(len(SEEDS)))


@pytest.fixture(scope="module")
def five_views(tmp_path_factory):
    folder = write_micro(tmp_path_factory.mktemp("micro") / "views", size=replace(SIZE, views="anyres"))
    return load_lavida(folder, dtype=torch.float32)


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


@pytest.mark.parametrize(
    ("policy", "kept", "base"),
    [
        (PolicyConfig("baseline"), 980, 196),
        (PolicyConfig("pooling"), 245, 49),
        (PolicyConfig("uniform", 245), 245, 49),
        (PolicyConfig("v2", 327, views="pooled_base"), 327, 49),
    ],
    ids=lambda value: value.name if isinstance(value, PolicyConfig) else str(value),
)
def test_five_views_count_their_base_view_and_show_values_in_their_crops(five_views, policy, kept, base):
    batch = draw(five_views, build_tokenizer(), DATA, "easy", range(1))
    asked = ask(five_views, batch, encode_pages(five_views, batch.images, "page"), Variant(policy), (5,))
    assert (asked.kept, asked.base) == ([kept] * DATA.questions, [base] * DATA.questions)
    for pointers, selection, shown in zip(batch.pointers[0], asked.prefix.selections, asked.shown, strict=True):
        if policy.method == "pooling":
            assert math.isnan(shown)
            continue
        places = [divmod(at, 28) for at in pointers[pointers >= 0].tolist()]
        first = 49 if policy.views == "pooled_base" else 196
        tokens = [first + (y // 14 * 2 + x // 14) * 196 + y % 14 * 14 + x % 14 for y, x in places]
        whole = set(range(980)) if selection is None else set(selection.indices[0].tolist())
        assert shown == pytest.approx(sum(at in whole for at in tokens) / len(tokens))


def test_v2_normalised_per_image_is_v2_on_one_view_and_another_choice_on_five(model, batch, five_views):
    policy = PolicyConfig("v2", 60, options={"alpha": 1.0, "beta": 0.0})
    larger = draw(five_views, build_tokenizer(), DATA, "hard", range(1))
    for seen, pages, same in ((model, batch, True), (five_views, larger, False)):
        encoded = encode_pages(seen, pages.images, "page")
        chosen = [
            ask(seen, pages, encoded, Variant(policy, normalize=per), SEEDS[: len(pages.images)]).prefix.selections[0]
            for per in ("view", "image")
        ]
        assert torch.equal(chosen[0].indices, chosen[1].indices) == same


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


def test_v3_tower_is_given_what_the_tower_attended_to(model, batch):
    encoded = encode_pages(model, batch.images, "page")
    seen = model.tower(normalize(to_unit(batch.images)), attention=True).attention
    assert torch.equal(encoded.attention, seen)
    layout = ViewLayout.single(model.config.vision.side, model.config.vision.side)
    given, own = (
        shirg_v3(20)(encoded.tokens, layout, attention=attention).indices.tolist() for attention in (seen, None)
    )
    asked = ask(model, batch, encoded, Variant(PolicyConfig("v3-tower", 20)), SEEDS)
    chosen = [selection.indices[0].tolist() for selection in asked.prefix.selections[:: DATA.questions]]
    assert chosen == given != own


@pytest.mark.parametrize("views", ["single384", "anyres"])
def test_a_prefix_within_pooling_is_never_longer(model, batch, five_views, views):
    from shirg_bench.accuracy.budgets import entries

    if views == "anyres":
        model, batch = five_views, draw(five_views, build_tokenizer(), DATA, "hard", range(len(SEEDS)))
    encoded = encode_pages(model, batch.images, "page")
    table = entries(model.config.vision.side, views)
    pooled = ask(model, batch, encoded, next(e.variant for e in table if e.method == "pooling"), SEEDS)
    for entry in (entry for entry in table if entry.group == "pooled-prefix"):
        assert max(ask(model, batch, encoded, entry.variant, SEEDS).visual) <= min(pooled.visual)


def test_a_selector_sees_the_question_s_words_alone(model, batch, monkeypatch):
    seen = []

    def spy(features, layout, *, text=None, **inputs):
        seen.extend(text)
        return shirg_v2(budget=0.25)(features, layout, text=text, **inputs)

    monkeypatch.setattr(prefixes, "page_policy", lambda *_: Policy("v2", METHODS["v2"], spy, VIEWS))
    ask(model, batch, encode_pages(model, batch.images, "page"), Variant(PolicyConfig("v2", 0.25)), SEEDS)
    pages = draw_pages(DATA.pages(SIZE, "hard"), [split_seed("test", place) for place in range(len(SEEDS))])
    asked = [TEMPLATES[0].format(pages.label(page, i)) for page in range(len(SEEDS)) for i in range(DATA.questions)]
    tokenizer = build_tokenizer()
    expected = [model.backbone.embed(question_ids(tokenizer, question)[None])[0] for question in asked]
    assert len(seen) == len(expected)
    assert all(map(torch.equal, seen, expected))
