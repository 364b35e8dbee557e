"""Prefixes of the accuracy code are the model's own."""

from __future__ import annotations

import math

import pytest
import torch
from PIL import Image

from shirg_bench.accuracy.pages import draw, look
from shirg_bench.accuracy.prefixes import ask
from shirg_bench.accuracy.variant import Variant
from shirg_lavida.checkpoint.load import load_lavida
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_train.keep_ratio import MERGING, PolicyConfig, build_selector, select_on
from shirg_train.testbed.pages.tokenizer import build_tokenizer

from .accuracy_setup import DATA, write_micro

SEEDS = (5, 6, 7)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_lavida(write_micro(tmp_path_factory.mktemp("micro") / "micro"), dtype=torch.float32)


@pytest.fixture(scope="module")
def batch(model):
    return draw(model, build_tokenizer(), DATA, "hard", range(len(SEEDS)))


@pytest.mark.parametrize(
    "variant",
    [
        Variant(),
        Variant(PolicyConfig("pooling")),
        Variant(PolicyConfig("v2", 1 / 6)),
        Variant(PolicyConfig("v2", 1 / 12, options={"coverage": "none", "summary": "none"}), newline="view"),
        Variant(PolicyConfig("v3", 1 / 3, options={"coverage": "clusters"}), positions="original"),
        Variant(PolicyConfig("cdpruner", 11), newline="none"),
        Variant(PolicyConfig("scissor", options={"threshold": 0.6}), positions="original"),
        Variant(PolicyConfig("top-edge", 41)),
        Variant(PolicyConfig("dedup-mean", 41)),
    ],
    ids=lambda v: f"{v.policy.name}-{v.newline}-{v.positions}",
)
def test_prefixes_are_those_of_embed_prompt(model, batch, variant):
    asked = ask(model, batch, look(model, batch.images, "page"), variant, SEEDS)
    questions = batch.answers.shape[1]
    for row in range(len(SEEDS) * questions):
        page, question = divmod(row, questions)
        ids = torch.cat([batch.head, torch.tensor([IMAGE_TOKEN_ID]), batch.tails[page, question]])
        image = Image.fromarray(batch.images[page].permute(1, 2, 0).numpy())
        selector = build_selector(variant.policy, 0)
        own = model.embed_prompt(
            ids,
            [image],
            question=batch.questions[page, question],
            selector=selector,
            views="single384",
            positions=variant.positions,
            newline=variant.newline,
            select_on=select_on(variant.policy),
        )
        length = own.shape[1]
        torch.testing.assert_close(asked.prefix.embeddings[row, -length:], own.embeddings[0], atol=1e-5, rtol=1e-5)
        assert asked.visual[row] == own.visual_tokens[0]
        expected = torch.arange(length) if own.positions is None else own.positions[0]
        found = torch.arange(asked.prefix.shape[1]) if asked.prefix.positions is None else asked.prefix.positions[row]
        assert found[-length:].tolist() == expected.tolist()
        mask = asked.prefix.mask
        assert asked.prefix.shape[1] - length == (0 if mask is None else int((~mask[row]).sum()))
        patches = [at for at in batch.pointers[page, question].tolist() if at >= 0]
        assert patches
        if variant.policy.method in MERGING:
            assert math.isnan(asked.shown[row])
        else:
            kept = range(196) if own.selections[0] is None else own.selections[0].indices[0].tolist()
            assert asked.shown[row] == pytest.approx(sum(at in kept for at in patches) / len(patches))
        assert asked.kept[row] == (196 if own.selections[0] is None else own.selections[0].indices.shape[1])


def test_random_tokens_are_drawn_for_each_page_from_its_seed(model, batch):
    seen = look(model, batch.images, "page")
    variant = Variant(PolicyConfig("random", 20))
    first, again, other = (ask(model, batch, seen, variant, seeds).prefix for seeds in (SEEDS, SEEDS, (8, 6, 7)))
    chosen = [selection.indices.tolist() for selection in first.selections]
    assert chosen[0] == chosen[1]
    assert chosen[0] != chosen[2]
    assert chosen == [selection.indices.tolist() for selection in again.selections]
    assert [selection.indices.tolist() for selection in other.selections][2:] == chosen[2:]
    assert other.selections[0].indices.tolist() != chosen[0]


def test_v2_can_weigh_its_summary_by_attention(model, batch):
    seen = look(model, batch.images, "page")
    mean, weighted = (
        ask(model, batch, seen, Variant(PolicyConfig("v2", 20, options={"summary": s})), SEEDS).prefix.selections[0]
        for s in ("mean", "attention")
    )
    assert mean.indices.tolist() == weighted.indices.tolist()
    assert not torch.allclose(mean.summary, weighted.summary)


def test_a_prefix_within_pooling_is_never_longer(model, batch):
    from shirg_bench.accuracy.budgets import entries

    seen = look(model, batch.images, "page")
    table = entries(model.config.vision.side)
    pooled = ask(model, batch, seen, next(e.variant for e in table if e.method == "pooling"), SEEDS)
    for entry in (entry for entry in table if entry.group == "pooled-prefix"):
        assert max(ask(model, batch, seen, entry.variant, SEEDS).visual) <= min(pooled.visual)
