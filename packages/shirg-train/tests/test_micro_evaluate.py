"""Exact match per page and question, its intervals, and validation NLL."""

from __future__ import annotations

import numpy as np
import pytest

from shirg_train.keep_ratio import PolicyConfig
from shirg_train.testbed.micro.build import build_model
from shirg_train.testbed.micro.config import DataConfig, SizeConfig
from shirg_train.testbed.micro.evaluate import evaluate
from shirg_train.testbed.micro.interval import bootstrap, score_interval
from shirg_train.testbed.pages.tokenizer import build_tokenizer

SIZE = SizeConfig(tower_width=24, tower_layers=1, tower_mlp=32, width=24, layers=2, mlp=32, heads=3)
DATA = DataConfig(questions=2)


def test_bootstrap_resamples_pages() -> None:
    rng = np.random.default_rng(1)
    independent = rng.random((400, 2)) < 0.5
    twins = np.repeat(independent[:, :1], 2, axis=1)
    low, high = bootstrap(independent)
    assert low < independent.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * (0.25 / 800) ** 0.5, rel=0.15)
    low, high = bootstrap(twins)
    assert high - low == pytest.approx(2 * 1.96 * (0.25 / 400) ** 0.5, rel=0.15)
    assert bootstrap(np.ones((5, 2), bool)) == (1.0, 1.0)


@pytest.mark.parametrize("pages", [1, 5, 128])
def test_scores_that_all_pages_share_have_the_exact_interval_of_pages(pages: int) -> None:
    right = np.ones((pages, 4), bool)
    low, high = score_interval(~right)
    # Two-sided at 95 %: were the share as high as `high`, all pages would fail once in forty times.
    assert low == 0
    assert (1 - high) ** pages == pytest.approx(0.025)
    assert score_interval(right) == pytest.approx((1 - high, 1.0))


def test_other_scores_have_the_bootstraps_interval_and_differences_of_none_have_no_width() -> None:
    mixed = np.random.default_rng(0).random((20, 4)) < 0.5
    assert score_interval(mixed) == bootstrap(mixed)
    assert bootstrap(np.zeros((20, 4))) == (0.0, 0.0)


def test_scores_are_per_page_and_question_and_repeat() -> None:
    tokenizer = build_tokenizer()
    model = build_model(SIZE, tokenizer, 0).eval()
    policies = [PolicyConfig("baseline"), PolicyConfig("pooling"), PolicyConfig("random", 0.25)]
    first, again = (evaluate(model, tokenizer, policies, size=SIZE, data=DATA, tier="easy", pages=3) for _ in range(2))
    assert [score.correct.shape for score in first] == [(3, 2)] * 3
    assert [score.visual_tokens for score in first[:2]] == [14 * 14 + 14, 7 * 7 + 7]
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.correct, other.correct)


def test_nll_of_an_untrained_model_is_about_uniform() -> None:
    tokenizer = build_tokenizer()
    model = build_model(SIZE, tokenizer, 0).eval()
    policies = [PolicyConfig("baseline"), PolicyConfig("random", 0.25)]
    scores = evaluate(model, tokenizer, policies, size=SIZE, data=DATA, tier="easy", pages=6, nll_times=4)
    for score in scores:
        assert score.nll == pytest.approx(np.log(model.config.llada.vocab_size), rel=0.25)
    assert scores[0].nll != scores[1].nll
