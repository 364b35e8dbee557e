"""The training pass gives inference's logits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.prompt.chat import prompt_ids, question_ids
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.testbed.micro.answers import answer_pass
from shirg_train.testbed.micro.batches import ANSWER_LENGTH, MicroBatch, to_tensors
from shirg_train.testbed.micro.build import build_model
from shirg_train.testbed.micro.config import DataConfig, SizeConfig
from shirg_train.testbed.micro.run import export
from shirg_train.testbed.micro.visual import (
    on_page,
    page_plan,
    page_policy,
    page_views,
    token_of_patch,
    tower_features,
    views_of,
    visual_rows,
)
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokenizer import build_tokenizer
from shirg_train.testbed.pages.tokens import TEMPLATES

SIZE = SizeConfig(tower_width=24, tower_layers=1, tower_mlp=32, width=24, layers=2, mlp=32, heads=3)
POLICIES = [
    PolicyConfig("baseline"),
    PolicyConfig("pooling"),
    PolicyConfig("random", 0.25),
    PolicyConfig("top-edge", 0.1667),
    PolicyConfig("v2", 0.25),
    PolicyConfig("v3", 0.0833),
]


@pytest.fixture(scope="module", params=["single384", "anyres"])
def micro(request):
    tokenizer, size = build_tokenizer(), replace(SIZE, views=request.param)
    pages = draw_pages(DataConfig(questions=2).pages(size, "hard"), [3, 4])
    return build_model(size, tokenizer, seed=0).eval(), to_tensors(pages, tokenizer, TEMPLATES[1]), pages


def real_prefix(model, batch: MicroBatch, pages, policy: PolicyConfig):
    ids = torch.cat([batch.head, torch.tensor([IMAGE_TOKEN_ID])])
    rows = [torch.cat([ids, tail]) for tail in batch.tails.flatten(0, 1)]
    images = [Image.fromarray(page) for page in pages.images for _ in range(batch.tails.shape[1])]
    words = [
        question_ids(build_tokenizer(), TEMPLATES[1].format(pages.label(b, q))) for b in range(2) for q in range(2)
    ]
    seen = page_policy(policy, 7, views_of(model))
    return model.embed_prompt(rows, images, question=words, selector=seen.selector, views=seen.views)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)
def test_joined_pass_has_inference_s_logits(micro, policy: PolicyConfig) -> None:
    model, batch, pages = micro
    masked = torch.full((4, 1, 1, ANSWER_LENGTH), model.config.mask_token_id)
    with torch.no_grad():
        expected = model.denoise_logits(real_prefix(model, batch, pages, policy), masked[:, 0, 0])
        images = batch.images.repeat_interleave(2, 0)
        tails = batch.tails.flatten(0, 1)
        text = model.backbone.embed(batch.questions.flatten(0, 1))
        features = tower_features(model, images)
        seen = page_policy(policy, 7, views_of(model))
        visual = visual_rows(model, images, features, seen, text)
        out = answer_pass(model, visual.rows, visual.valid, batch.head, tails[:, None], masked, joined=True)
    torch.testing.assert_close(out.logits[:, 0, 0], expected, atol=1e-4, rtol=1e-4)


def test_packed_questions_do_not_see_each_other(micro) -> None:
    model, batch, _ = micro
    samples = torch.full((2, 2, 1, ANSWER_LENGTH), model.config.mask_token_id)
    policy = page_policy(PolicyConfig("full"), 0, views_of(model))
    with torch.no_grad():
        features = tower_features(model, batch.images)
        visual = visual_rows(model, batch.images, features, policy)
        both = answer_pass(model, visual.rows, visual.valid, batch.head, batch.tails, samples, joined=False)
        second = answer_pass(
            model, visual.rows, visual.valid, batch.head, batch.tails[:, 1:], samples[:, 1:], joined=False
        )
    torch.testing.assert_close(both.logits[:, 1:], second.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both.pointer[:, 1:], second.pointer, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both.label_pointer[:, 1:], second.label_pointer, atol=1e-5, rtol=1e-5)


def test_columns_find_kept_patches(micro) -> None:
    model, batch, _ = micro
    policy = page_policy(PolicyConfig("uniform", 0.25), 0, views_of(model))
    with torch.no_grad():
        features = tower_features(model, batch.images)
        visual = visual_rows(model, batch.images, features, policy)
        patches = on_page(model, model.projector(features))
    assert patches.shape[1] == visual.columns.shape[1] == (batch.images.shape[-1] // SIZE.patch_size) ** 2
    for b in range(2):
        kept = (visual.columns[b] >= 0).nonzero().flatten()
        assert len(kept) == patches.shape[1] // 4
        torch.testing.assert_close(visual.rows[b, visual.columns[b, kept]], patches[b, kept])


def test_a_patch_has_the_token_of_its_crop(micro) -> None:
    """Which crop and row of it a patch lies in, read off a page whose pixels say where they are."""
    model, batch, _ = micro
    size, patch = batch.images.shape[-1], SIZE.patch_size
    rows = (torch.arange(size) // patch).to(torch.uint8)
    page = torch.stack(
        [rows[:, None].expand(size, size), rows[None].expand(size, size), torch.zeros(size, size).byte()]
    )
    cut = page_views(model, page[None])[0, :, :, ::patch, ::patch].flatten(2).transpose(1, 2).flatten(0, 1)
    tokens = token_of_patch(page_plan(model, views_of(model), selecting=True))
    assert torch.equal(cut[tokens], page[:, ::patch, ::patch].flatten(1).T)


def test_asking_in_words_gives_the_trained_prompt(tmp_path, micro) -> None:
    model, batch, pages = micro
    export(model, tmp_path / "micro")
    pipe = LavidaPipeline.from_pretrained(tmp_path / "micro")
    assert pipe.views == views_of(model)
    ids = prompt_ids(pipe.tokenizer, TEMPLATES[1].format(pages.label(0, 1)), pipe.chat)
    expected = [*batch.head.tolist(), IMAGE_TOKEN_ID, *batch.tails[0, 1].tolist()]
    assert ids.tolist() == expected


def unpadded(prefix):
    if prefix.mask is None:
        return list(prefix.embeddings)
    return [row[mask] for row, mask in zip(prefix.embeddings, prefix.mask, strict=True)]
