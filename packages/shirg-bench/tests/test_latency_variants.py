import pytest

from shirg_bench.latency.variant import ONE_VIEW, STANDARD, Variant, variants
from shirg_bench.names import split_names
from shirg_core import shirg_v4
from shirg_core.cli.errors import BadInput
from shirg_lavida.pruning.fastv import FastV
from shirg_lavida.pruning.rerank import Rerank, Wider
from shirg_lavida.pruning.two_stage import TwoStage

from .latency_setup import tiny_subject


@pytest.mark.parametrize(
    ("name", "method", "budget", "views"),
    [
        ("pooling", "pooling", None, None),
        ("baseline", "baseline", None, None),
        ("full@single", "full", None, "single"),
        ("v3-768", "v3", 768, None),
        ("v2-0.5@single", "v2", 0.5, "single"),
        ("v3-1/4", "v3", 0.25, None),
        ("v3-50%@anyres", "v3", 0.5, "anyres"),
        ("v3-1.0", "v3", 1.0, None),
        ("top-variance-9", "top-variance", 9, None),
    ],
)
def test_a_name_is_method_budget_and_views(name, method, budget, views):
    assert Variant.parse(name) == Variant(name, method, budget, views)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("v9-768", "unknown method 'v9'"),
        ("divprune-max-9", "unknown method 'divprune-max', did you mean"),
        ("v3-5@mosaic", "single384, got 'mosaic'"),
        ("v3-5@", "single384, got ''"),
        ("downsampled", "runs only in `shirg ablate --what budget`"),
        ("v3", "needs a budget: v3-768, or --budget"),
        ("pooled-768", "pooling takes no budget"),
        ("v3-0", "--budget must be"),
        ("baseline@single", "'baseline' means single384 views"),
    ],
)
def test_a_name_that_is_no_variant_is_refused(name, problem):
    with pytest.raises(BadInput, match=problem):
        Variant.parse(name)


def test_an_earlier_name_gives_todays_variant():
    assert Variant.parse("pooled@single") == Variant("pooling@single", "pooling", None, "single")
    assert Variant.parse("baseline").pipeline(tiny_subject().pipe, 0).views == "single384"


@pytest.mark.parametrize(
    ("name", "views", "pruning", "static"),
    [
        ("fastv-0.5", "anyres_full", FastV(0.5), None),
        ("redvtp-0.5@single", "single", Rerank(0.5), None),
        ("rerank-20", "anyres", Rerank(20), Wider(shirg_v4(20), 20, 2.0)),
        ("two-stage-20", "anyres", TwoStage(), shirg_v4(20)),
    ],
)
def test_what_chooses_later_is_timed_too(name, views, pruning, static):
    pipe = Variant.parse(name).pipeline(tiny_subject().pipe, 0)
    assert (pipe.views, pipe.pruning, pipe.selector) == (views, pruning, static)


def test_the_table_fits_the_model():
    own_views = tiny_subject(shirg={"views": "single384"})
    assert [variant.name for variant in variants(None, tiny_subject().pipe)] == list(STANDARD.names(None))
    assert [variant.name for variant in variants(None, own_views.pipe)] == list(ONE_VIEW.names(None))
    assert [variant.name for variant in variants("v2-5, pooled", own_views.pipe)] == ["v2-5", "pooling"]


@pytest.mark.parametrize(("budget", "amount"), [("1/3", 1 / 3), ("50%", 0.5), ("1.0", 1.0), ("9", 9)])
def test_one_budget_serves_every_method_named_without_one(budget, amount):
    pipe = tiny_subject().pipe
    found = variants("pooling,v2,v3-5,top-edge@single", pipe, budget)
    assert [(each.name, each.budget) for each in found] == [
        ("pooling", None),
        (f"v2-{budget}", amount),
        ("v3-5", 5),
        (f"top-edge-{budget}@single", amount),
    ]
    presets = [each.name for each in variants(None, pipe, budget) if each.budget == amount]
    assert presets == [f"v2-{budget}", f"v3-{budget}"]


@pytest.mark.parametrize("names", ["pooling", "v3-5,full"])
def test_a_budget_that_no_method_takes_is_refused(names):
    with pytest.raises(BadInput, match=f"--budget 9 is for methods named without one, and {names} names none"):
        variants(names, tiny_subject().pipe, "9")


@pytest.mark.parametrize("text", ["", "a,", "a, b, a"])
def test_a_list_names_each_thing_once(text):
    with pytest.raises(BadInput, match="--methods takes different names"):
        split_names("--methods", text)


def test_options_are_for_what_chooses_later():
    pipe = tiny_subject().pipe
    found = variants("v4,rerank", pipe, "20", "wider=4,steps=2")
    assert [each.name for each in found] == ["v4-20", "rerank-20:wider=4,steps=2"]
    assert found[1].pipeline(pipe, 0).pruning == Rerank(20, wider=4.0, steps=2)


@pytest.mark.parametrize(
    ("names", "later", "problem"),
    [
        ("v4-5", "wider=4", "--later wider=4 is for methods that choose again while decoding, and v4-5 names none"),
        (None, "wider=4", "--later wider=4 is for methods that choose again while decoding, and --methods names none"),
        ("rerank-5", "wide=4", "unknown option of method 'rerank': 'wide', did you mean 'wider'"),
        ("rerank-5,two-stage-5", "wider=4", "variant 'two-stage-5': unknown option of method 'two-stage': 'wider'"),
    ],
)
def test_options_that_no_method_has_are_refused(names, later, problem):
    with pytest.raises(BadInput, match=problem):
        variants(names, tiny_subject().pipe, None, later)
