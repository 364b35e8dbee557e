"""Intervals over pages: a page's questions fail together, so that pages, not questions, are independent."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
TAIL = (1 - 0.95) / 2


def score_interval(correct: NDArray[np.bool_], asked: NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """95 % interval of exact match: `bootstrap`, or where it has no width, Clopper and Pearson's.

    Where all questions are right or all wrong, all resamples are alike, and yet other pages may be answered otherwise.
    There it is the exact two-sided bound for n pages that all succeed or all fail: [(α/2)^(1/n), 1] or
    [0, 1 − (α/2)^(1/n)], α = 5 %. Pages that are alike in any other way keep the bootstrap's.

    Args:
        correct: `[pages, questions]`, right answers.
        asked: `[pages, questions]`, those that count; None = all of them. n counts pages with one at least.

    Raises:
        ValueError: no question counts.
    """
    if asked is None:
        asked = np.ones(correct.shape, dtype=bool)
    pages = int(asked.any(axis=1).sum())
    if pages == 0:
        raise ValueError("an interval needs at least one question, got none")
    if correct[asked].all():
        return float(TAIL ** (1 / pages)), 1.0
    if not correct[asked].any():
        return 0.0, float(1 - TAIL ** (1 / pages))
    return bootstrap(correct, asked)


def bootstrap(correct: NDArray[Any], asked: NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """95 % percentile interval of the mean of `[pages, questions]`, pages resampled; None: every question was `asked`.

    Where all pages have the same mean, for example paired differences of 0, its width is zero: no difference was
    observed. For scores see `score_interval`.
    """
    if asked is None:
        asked = np.ones(correct.shape, dtype=bool)
    counting = asked.any(axis=1)
    correct, asked = correct[counting], asked[counting]
    drawn = np.random.default_rng(0).integers(0, len(asked), (RESAMPLES, len(asked)))
    means = (correct * asked).sum(axis=1)[drawn].sum(axis=1) / asked.sum(axis=1)[drawn].sum(axis=1)
    low, high = np.quantile(means, [TAIL, 1 - TAIL])
    return float(low), float(high)
