"""Intervals of exact match: bootstrap over pages, exact where all pages share a score."""

from __future__ import annotations

import numpy as np
import pytest

from shirg_bench.accuracy.interval import bootstrap, score_interval


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
