"""Further questions about an image: the tower does not run again, and answers are the same bits."""

import copy
from dataclasses import replace

import pytest
import torch
from PIL import Image

from shirg_core import shirg_v2, shirg_v3
from shirg_lavida import LavidaPipeline
from shirg_lavida.vision.feature_cache import FeatureCache


@pytest.fixture(scope="module")
def pipe(model):
    return LavidaPipeline.from_pretrained(model, selector=shirg_v3(0.5), views="anyres_full")


def page(seed, size=(40, 30)):
    pixels = torch.randint(0, 256, (size[1], size[0], 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(pixels.byte().numpy())


def runs_of_the_tower(pipe, monkeypatch):
    seen, run = [], type(pipe.model.tower).forward
    monkeypatch.setattr(
        type(pipe.model.tower), "forward", lambda tower, x, **how: seen.append(len(x)) or run(tower, x, **how)
    )
    return seen


def same(a, b):
    assert torch.equal(a.ids, b.ids)
    assert torch.equal(a.probabilities, b.probabilities)
    assert torch.equal(a.selections[0].indices, b.selections[0].indices)


@pytest.mark.parametrize("selector", [shirg_v2(0.5), shirg_v3(0.5)], ids=["v2", "v3"])
def test_questions_about_one_page_run_the_tower_once_and_are_answered_alike(pipe, monkeypatch, selector):
    asked = [(page(1), "What?"), (page(1), "How many?"), (page(2), "What?"), (page(1), "Why?")]
    plain = replace(pipe, selector=selector)
    expected = [plain(image, question, max_new_tokens=3) for image, question in asked]
    cached, seen = replace(plain, feature_cache=FeatureCache()), runs_of_the_tower(pipe, monkeypatch)
    for (image, question), answer in zip(asked, expected, strict=True):
        same(cached(image, question, max_new_tokens=3), answer)
    assert len(seen) == 2


def test_equal_images_of_a_batch_go_through_the_tower_once(pipe, monkeypatch):
    cached = replace(pipe, feature_cache=FeatureCache())
    pictures, questions = [page(1), page(2), page(1)], ["What?", "Which?", "When?"]
    expected = pipe(pictures, questions, max_new_tokens=3)
    views = pipe.encode([page(1)]).plans[0].n_views
    seen = runs_of_the_tower(pipe, monkeypatch)
    for ours, answer in zip(cached(pictures, questions, max_new_tokens=3), expected, strict=True):
        assert torch.equal(ours.selections[0].indices, answer.selections[0].indices)
    assert seen == [2 * views]


def test_what_is_seen_otherwise_is_encoded_anew(pipe, monkeypatch):
    cached, seen = replace(pipe, feature_cache=FeatureCache()), runs_of_the_tower(pipe, monkeypatch)
    for other in (cached, replace(cached, tower_attention=True), replace(cached, select_on="tower"), cached):
        other.encode([page(1)])
    replace(cached, views="single").encode([page(1)])
    cached.encode([page(1).transpose(Image.Transpose.ROTATE_180)])
    assert len(seen) == 5


def test_another_model_never_gets_these_features(pipe):
    cached = replace(pipe, feature_cache=FeatureCache())
    cached.encode([page(1)])
    other = replace(cached, model=copy.deepcopy(pipe.model).to(torch.bfloat16))
    assert other.encode([page(1)]).tokens.dtype == torch.bfloat16


def test_memory_is_bounded_and_the_last_used_stay(pipe, monkeypatch):
    size = pipe.encode([page(1)]).bytes
    cache = FeatureCache(2 * size)
    cached, seen = replace(pipe, feature_cache=cache), runs_of_the_tower(pipe, monkeypatch)
    for seed in (1, 2, 1, 3, 1, 2):
        cached.encode([page(seed)])
        assert cache.bytes <= 2 * size
    assert len(seen) == 4
    nothing = FeatureCache(0)
    assert replace(pipe, feature_cache=nothing).encode([page(1)]).bytes == size
    assert nothing.bytes == 0
    with pytest.raises(ValueError, match="max_bytes must be an integer ≥ 0"):
        FeatureCache(-1)
