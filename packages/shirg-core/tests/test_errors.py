"""Bad input: a `ValueError` that names what was wrong, what it was, and what was expected."""

import math

import numpy as np
import pytest
import torch

from shirg_core import View, ViewLayout, shirg_v2, shirg_v3

from .strategies import generator, make_features

LAYOUT = ViewLayout(views=(View(2, 3), View(2, 2, valid=[[True, True], [False, False]])))
METHODS = [shirg_v2, shirg_v3]


def good():
    return {
        "features": make_features("normal", 2, 10, 4, 1),
        "text": torch.randn(2, 3, 4, generator=generator(2)),
        "text_mask": torch.tensor([[True, True, False], [True, False, False]]),
        "edges": torch.rand(2, 10, generator=generator(3)),
        "attention": torch.rand(2, 10, generator=generator(4)),
    }


def call(method, config=None, options=None, **changes):
    given = {**good(), **changes}
    features = given.pop("features")
    return method(4, **(config or {}))(features, LAYOUT, **given, **(options or {}))


@pytest.mark.parametrize("method", METHODS)
def test_the_good_example_is_good(method):
    assert call(method, options={"check_finite": True}).indices.shape == (2, 4)


BAD = [
    ("features", torch.zeros(10, 4), r"features.*\[B, 10, D\].*\[10, 4\]"),
    ("features", torch.zeros(1, 2, 10, 4), r"features.*\[1, 2, 10, 4\]"),
    ("features", torch.zeros(2, 9, 4), r"features.*10.*\[2, 9, 4\]"),
    ("features", torch.zeros(2, 11, 4), r"features.*10.*\[2, 11, 4\]"),
    ("features", torch.zeros(0, 10, 4), r"at least one image"),
    ("features", torch.zeros(2, 10, 0), r"at least one.*channel"),
    ("features", torch.zeros(2, 10, 4, dtype=torch.int64), r"features.*floating.*int64"),
    ("features", torch.zeros(2, 10, 4, dtype=torch.complex64), r"features.*floating.*complex64"),
    ("features", [[0.0]], r"features.*Tensor.*list"),
    ("text", torch.zeros(3, 4), r"text.*\[3, 4\]"),
    ("text", torch.zeros(1, 3, 4), r"text.*\[2, M, 4\].*\[1, 3, 4\]"),
    ("text", torch.zeros(2, 3, 5), r"text.*\[2, M, 4\].*\[2, 3, 5\]"),
    ("text", torch.zeros(2, 0, 4), r"at least one token"),
    ("text", torch.zeros(2, 3, 4, dtype=torch.int32), r"text.*floating.*int32"),
    ("text", "what is this?", r"text.*Tensor.*str"),
    ("text_mask", torch.ones(2, 3), r"text_mask.*bool.*float32"),
    ("text_mask", torch.ones(2, 4, dtype=torch.bool), r"text_mask.*\[2, 3\].*\[2, 4\]"),
    ("text_mask", torch.tensor([[True, False, False], [False, False, False]]), r"text_mask.*\[1\]"),
    ("text_mask", [[True] * 3] * 2, r"text_mask.*list"),
    ("edges", torch.zeros(2, 9), r"edges.*\[2, 10\].*\[2, 9\]"),
    ("edges", torch.zeros(2, 10, 1), r"edges.*\[2, 10, 1\]"),
    ("edges", torch.zeros(2, 10, dtype=torch.uint8), r"edges.*floating.*uint8"),
    ("attention", torch.zeros(1, 10), r"attention.*\[2, 10\].*\[1, 10\]"),
    ("attention", torch.zeros(2, 10, 10), r"attention.*\[2, 10, 10\]"),
    ("features", torch.zeros(2, 10, 4, device="meta"), r"meta.*cpu|cpu.*meta"),
    ("text", torch.zeros(2, 3, 4, device="meta"), r"text.*meta.*cpu"),
    ("edges", torch.zeros(2, 10, device="meta"), r"edges.*meta.*cpu"),
    ("attention", torch.zeros(2, 10, device="meta"), r"attention.*meta.*cpu"),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "value", "message"), BAD, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(BAD)])
def test_shapes_dtypes_and_devices(method, name, value, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call(method, **{name: value})


@pytest.mark.parametrize("method", METHODS)
def test_text_mask_without_text(method):
    with pytest.raises(ValueError, match="text_mask was given without text"):
        call(method, text=None)


@pytest.mark.parametrize("method", METHODS)
def test_layout_is_a_layout(method):
    with pytest.raises(ValueError, match=r"ViewLayout.*tuple"):
        method(4)(good()["features"], (2, 5), text=good()["text"], edges=good()["edges"])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["features", "text", "edges", "attention"])
def test_check_finite_names_the_input(method, name, value):
    bad = good()[name]
    bad[1, 0] = value
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        call(method, options={"check_finite": True}, **{name: bad})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["features", "text"])
def test_check_finite_refuses_what_float32_cannot_measure(method, name):
    bad = good()[name] * 1e20
    with pytest.raises(
        ValueError, match=rf"{name} must have norms that float32 can hold, got values up to [\d.]+e\+20"
    ):
        call(method, options={"check_finite": True}, **{name: bad})


@pytest.mark.parametrize("method", METHODS)
def test_check_finite_looks_at_nothing_that_takes_no_part(method):
    changes = good()
    for name in ("features", "edges", "attention"):
        changes[name][:, 8:] = math.nan
    changes["text"][:, 2] = math.inf
    selection = call(method, options={"check_finite": True}, **changes)
    assert torch.equal(selection.indices, call(method).indices)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["edges", "attention"])
def test_check_finite_refuses_what_is_negative_of_tokens_that_count(method, name):
    bad = good()[name]
    bad[0, 3] = -0.1
    with pytest.raises(ValueError, match=rf"{name} must be ≥ 0.*-0\.1"):
        call(method, options={"check_finite": True}, **{name: bad})
    padding = good()[name]
    padding[0, 8] = -0.1
    assert call(method, options={"check_finite": True}, **{name: padding}).indices.shape == (2, 4)


@pytest.mark.parametrize("method", METHODS)
def test_more_than_selectable_names_both_numbers(method):
    knobs = {"text_weight": 0, "beta": 0} if method is shirg_v2 else {}
    with pytest.raises(ValueError, match=r"\b9\b.*\b8\b"):
        method(9, **knobs)(good()["features"], LAYOUT)
    assert method(8, **knobs)(good()["features"], LAYOUT).summary is None


@pytest.mark.parametrize("method", METHODS)
def test_fewer_than_regions_names_both_numbers(method):
    knobs = {"text_weight": 0, "beta": 0} if method is shirg_v2 else {}
    with pytest.raises(ValueError, match=r"\b1\b.*\b2\b"):
        method(1, **knobs)(good()["features"], LAYOUT)


def test_v2_needs_text_unless_told_otherwise():
    x, edges = good()["features"], good()["edges"]
    with pytest.raises(ValueError, match=r"`text`.*text_weight=0"):
        shirg_v2(4)(x, LAYOUT, edges=edges)
    for knobs in ({"alpha": 1}, {"alpha": 1.0}, {"text_weight": 0}):
        assert shirg_v2(4, **knobs)(x, LAYOUT, edges=edges).indices.shape == (2, 4)


def test_v2_needs_edges_unless_told_otherwise():
    x, text = good()["features"], good()["text"]
    with pytest.raises(ValueError, match=r"`edges`.*beta=0"):
        shirg_v2(4)(x, LAYOUT, text=text)
    assert shirg_v2(4, beta=0)(x, LAYOUT, text=text).indices.shape == (2, 4)


def test_v2_needs_attention_for_an_attention_summary():
    with pytest.raises(ValueError, match="attention"):
        call(shirg_v2, {"summary": "attention"}, attention=None)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("impl", ["cuda", "", "Reference", None])
def test_an_unknown_impl_is_refused(method, impl):
    with pytest.raises(ValueError, match=r"impl must be one of .*reference"):
        call(method, options={"impl": impl})


@pytest.mark.parametrize("method", METHODS)
def test_the_reference_by_name_is_the_reference(method):
    assert torch.equal(call(method, options={"impl": "reference"}).indices, call(method).indices)


@pytest.mark.parametrize("number", [np.float32, np.float64, np.int64], ids=lambda kind: kind.__name__)
def test_numpys_numbers_are_pythons(number):
    v2 = shirg_v2(4, alpha=number(1), beta=number(1), text_weight=number(2), coverage_share=number(1))
    assert v2 == shirg_v2(4, alpha=1, beta=1, text_weight=2, coverage_share=1)
    v3 = shirg_v3(4, attention_weight=number(1), magnitude_weight=number(1), temperature=number(2))
    for preset in (v2, v3, shirg_v2(4, alpha=np.float32(0.25))):
        assert {type(value) for value in vars(preset).values()} <= {int, float, str, type(None)}


SHARED = [
    ({"coverage_share": True}, "coverage_share must be a number in .*got True"),
    ({"coverage": "tiles"}, "coverage must be one of .*cells.*tiles"),
    ({"coverage_share": 1.1}, "coverage_share.*1.1"),
    ({"coverage_share": -0.1}, "coverage_share.*-0.1"),
    ({"coverage_share": math.nan}, "coverage_share.*nan"),
    ({"summary": "median"}, "summary must be one of .*mean.*median"),
    ({"summary": None}, "summary must be one of"),
]
V2 = [
    ({"alpha": -0.1}, "alpha.*-0.1"),
    ({"alpha": 1.5}, "alpha.*1.5"),
    ({"alpha": math.nan}, "alpha.*nan"),
    ({"alpha": "0.5"}, "alpha.*'0.5'"),
    ({"alpha": True}, "alpha must be a number in .*got True"),
    ({"beta": np.bool_(True)}, "beta must be a number in .*got .*True"),
    ({"text_weight": False}, "text_weight must be a number in .*got False"),
    ({"beta": -1}, "beta.*-1"),
    ({"beta": math.inf}, "beta.*inf"),
    ({"text_weight": -1}, "text_weight.*-1"),
]
V3 = [
    ({"attention_weight": -1}, "attention_weight.*-1"),
    ({"magnitude_weight": math.nan}, "magnitude_weight.*nan"),
    ({"gradient_weight": math.inf}, "gradient_weight.*inf"),
    ({"temperature": 0.0}, "temperature.*0"),
    ({"temperature": -0.1}, "temperature.*-0.1"),
    ({"temperature": True}, "temperature must be a finite number > 0, got True"),
    ({"magnitude_weight": True}, "magnitude_weight must be a number in .*got True"),
    ({"temperature": math.inf}, "temperature.*inf"),
    ({"temperature": "warm"}, "temperature.*'warm'"),
]


@pytest.mark.parametrize(
    ("method", "knobs", "message"),
    [
        pytest.param(method, knobs, message, id=f"{method.__name__}-{next(iter(knobs.items()))}")
        for method, bad in ((shirg_v2, SHARED + V2), (shirg_v3, SHARED + V3))
        for knobs, message in bad
    ],
)
def test_bad_config_values(method, knobs, message):
    with pytest.raises(ValueError, match=message):
        method(4, **knobs)


@pytest.mark.parametrize("method", METHODS)
def test_unknown_knobs_are_refused(method):
    with pytest.raises(TypeError, match="lambda_"):
        method(4, lambda_=0.5)
