"""Numbers are numbers: Python's and NumPy's, in range; booleans, text and NaN are refused by name and value."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from shirg_core.baselines import (
    BipartiteVote,
    ConnectedComponents,
    Pooling,
    RandomTokens,
    SimilarityGraph,
    TokenMerging,
)
from shirg_core.checks import check_choice, integer, random_seed, real


@pytest.mark.parametrize("value", [0.25, np.float32(0.25), np.float64(0.25), 1, np.int64(1)])
def test_numbers_of_python_and_numpy_become_pythons(value):
    number = real("alpha", value, low=0, high=1)
    assert type(number) is float
    assert number == value


@pytest.mark.parametrize("value", [True, np.bool_(True), "0.5", None, math.nan, math.inf, -0.1, 1.5, 1j, torch.ones(2)])
def test_what_is_no_number_in_range_is_named(value):
    with pytest.raises(ValueError, match=r"alpha must be a number in \[0, 1\], got ") as error:
        real("alpha", value, low=0, high=1)
    assert repr(value) in str(error.value)


def test_bounds_may_be_open_or_absent():
    assert real("shift", 0.1, above=0) == 0.1
    with pytest.raises(ValueError, match="shift must be a finite number > 0, got 0"):
        real("shift", 0, above=0)
    with pytest.raises(ValueError, match=r"p must be a number in \(0, 1\], got 0"):
        real("p", 0, above=0, high=1)
    with pytest.raises(ValueError, match="weight must be a finite number ≥ 0, got inf"):
        real("weight", math.inf, low=0)
    assert real("penalty", math.inf, low=0, infinite=True) == math.inf
    with pytest.raises(ValueError, match="penalty must be a number ≥ 0, got nan"):
        real("penalty", math.nan, low=0, infinite=True)


@pytest.mark.parametrize("value", [8, np.int32(8), np.uint8(8)])
def test_integers_of_python_and_numpy_become_pythons(value):
    number = integer("steps", value, low=1)
    assert type(number) is int
    assert number == 8


@pytest.mark.parametrize("value", [True, 8.0, np.float32(8), "8", None, 0, torch.tensor([8])])
def test_what_is_no_integer_in_range_is_named(value):
    with pytest.raises(ValueError, match="steps must be an integer ≥ 1, got "):
        integer("steps", value, low=1)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, 2**63])
def test_what_is_no_seed_is_named(value):
    with pytest.raises(ValueError, match=r"--seed must be an integer in \[0, 2⁶³\), got ") as error:
        random_seed("--seed", value)
    assert repr(value) in str(error.value)


BASELINES = [
    (BipartiteVote, {"budget": 9}, {"threshold": np.float32(0.5), "rounds": np.int64(2)}),
    (ConnectedComponents, {}, {"threshold": np.float32(0.5)}),
    (Pooling, {}, {"side": np.int32(2)}),
    (RandomTokens, {"budget": 9}, {"seed": np.int64(2**63 - 1)}),
    (SimilarityGraph, {"budget": 9}, {"threshold": np.float64(0.5), "rounds": np.uint8(2)}),
    (TokenMerging, {"budget": 9}, {"rounds": np.int64(2)}),
]


@pytest.mark.parametrize(("baseline", "others", "fields"), BASELINES)
def test_baselines_hold_pythons_numbers_and_no_booleans(baseline, others, fields):
    made = baseline(**others, **fields)
    for name, value in fields.items():
        assert getattr(made, name) == value
        assert type(getattr(made, name)) in (int, float)
        with pytest.raises(ValueError, match=f"{name} must be an? .*, got True"):
            baseline(**others, **{name: True})


def test_a_word_that_is_none_of_a_few_is_named():
    check_choice("metric", "max", ("max", "mean"))
    with pytest.raises(ValueError, match="metric must be one of max, mean, got None"):
        check_choice("metric", None, ("max", "mean"))
    check_choice("schedule", None, (None, "linear"))
    with pytest.raises(ValueError, match="schedule must be one of None, linear, got 'steep'"):
        check_choice("schedule", "steep", (None, "linear"))
