import pytest

from shirg_bench.latency.variant import ONE_VIEW, STANDARD, Variant, variants
from shirg_bench.names import split_names
from shirg_core.cli.errors import BadInput

from .latency_setup import tiny_subject


@pytest.mark.parametrize(
    ("name", "method", "budget", "views"),
    [
        ("pooling", "pooling", None, None),
        ("baseline", "baseline", None, None),
        ("full@single", "full", None, "single"),
        ("v3-768", "v3", 768, None),
        ("v2-0.5@single", "v2", 0.5, "single"),
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
        ("fastv-0.5", "runs only in `shirg ablate --what late`"),
        ("v3", "needs a budget, such as v3-768"),
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


def test_the_table_fits_the_model():
    own_views = tiny_subject(shirg={"views": "single384"})
    assert [variant.name for variant in variants(None, tiny_subject().pipe)] == list(STANDARD)
    assert [variant.name for variant in variants(None, own_views.pipe)] == list(ONE_VIEW)
    assert [variant.name for variant in variants("v2-5, pooled", own_views.pipe)] == ["v2-5", "pooling"]


@pytest.mark.parametrize("text", ["", "a,", "a, b, a"])
def test_a_list_names_each_thing_once(text):
    with pytest.raises(BadInput, match="--methods takes different names"):
        split_names("--methods", text)
