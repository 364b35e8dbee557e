"""How values of rows read."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from shirg_bench.results.rows import Row
from shirg_train.testbed.pages.config import TIER_WORDS

NONE = "–"
SEED = ", seed "
"""In the name of a regime: the same training from another seed, e.g. `frozen tower, seed 2`."""


def tier_words(tier: str) -> str:
    """Words for a row's tier: `plain` or `cluttered`."""
    return TIER_WORDS.get(tier, tier)


def budget_words(budget: float | int | None) -> str:
    """Words for a budget: `1/3`, `49`, `all`."""
    if budget is None:
        return "all"
    return str(Fraction(budget).limit_denominator(100)) if budget < 1 else str(budget)


def model_words(row: Row) -> str:
    """Words for what was timed: a model and its dtype, which rows of earlier versions do not say."""
    return ", ".join(str(row[name]) for name in ("model", "dtype") if row.get(name) is not None)


def setting_words(row: Row) -> str:
    """Words for what a row of kind `latency` is true for: model, dtype, and the answer's length and steps."""
    if row.get("answer_tokens") is None:
        return model_words(row)
    return f"{model_words(row)}, {row['answer_tokens']} tokens in {row['nfe']} steps"


def score_words(row: Row) -> str:
    """Words for exact match and its interval."""
    return f"{row['exact_match']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def change_words(row: Row, name: str) -> str:
    """Words for a paired difference and its interval, in points."""
    change, low, high = (100 * row[key] for key in (name, f"{name}_low", f"{name}_high"))
    return f"{change:+.1f} [{low:+.1f}, {high:+.1f}]"


def number_words(value: float | None, form: str, unit: float = 1.0) -> str:
    """Words for a number in a unit; a dash where nothing was measured."""
    return NONE if value is None else format(value / unit, form)


def ordered(rows: Sequence[Row], key: str) -> list[Any]:
    """Values of `key`, each once, in the rows' order."""
    return list(dict.fromkeys(row[key] for row in rows))
