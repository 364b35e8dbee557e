"""Mixed keep ratios: what is drawn, how often, and that it repeats."""

from collections import Counter

import pytest
import torch

from shirg_core import ShirgV2, ShirgV4, ViewLayout
from shirg_core.baselines import Pooling
from shirg_core.methods import METHODS
from shirg_train.keep_ratio import PolicyConfig, build_policy, draw_policy
from shirg_train.recipe import RecipeError, build, plain

MIX = tuple(build(PolicyConfig, entry) for entry in ("pooled", 1024, 768, 512))


def test_recipe_shorthands():
    assert [policy.name for policy in MIX] == ["pooling", "v4-1024", "v4-768", "v4-512"]
    assert build_policy(MIX[1], 0).selector == ShirgV4(1024)
    assert build_policy(MIX[1], 0).views == "anyres"
    assert (build_policy(MIX[0], 0).selector, build_policy(MIX[0], 0).views) == (None, "anyres")
    assert build_policy(build(PolicyConfig, "baseline"), 0).views == "single384"
    v2 = build(PolicyConfig, {"method": "v2", "budget": 0.3, "options": {"alpha": 0.5}})
    assert build_policy(v2, 0) == build_policy(v2, 1)
    assert build_policy(v2, 0).selector == ShirgV2(0.3, alpha=0.5)


def test_draws_repeat_and_are_even():
    names = [draw_policy(MIX, 7, step).name for step in range(2000)]
    assert names == [draw_policy(MIX, 7, step).name for step in range(2000)]
    assert names != [draw_policy(MIX, 8, step).name for step in range(2000)]
    assert all(420 < count < 580 for count in Counter(names).values())


def test_weights_count():
    mix = (PolicyConfig("pooled", weight=3.0), PolicyConfig("full"))
    counts = Counter(draw_policy(mix, 0, step).name for step in range(1000))
    assert 700 < counts["pooling"] < 800


def test_random_selections_differ_from_step_to_step():
    policy = build(PolicyConfig, {"method": "random", "budget": 4})
    assert draw_policy([policy], 0, 1) != draw_policy([policy], 0, 2)
    fixed = build(PolicyConfig, {"method": "random", "budget": 4, "options": {"seed": 5}})
    assert draw_policy([fixed], 0, 1) == draw_policy([fixed], 0, 2)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("v33", "unknown method 'v33', did you mean 'v3'"),
        ("redvtp", "runs only in `shirg ablate --what late`"),
        (0, "budget.*0"),
        (1.5, "budget.*1.5"),
        ({"method": "pooled", "budget": 5}, "unknown field of method 'pooling': 'budget'"),
        ({"method": "full", "budget": 5}, "'full' has no selector"),
        ({"method": "baseline", "views": "single"}, "'baseline' means single384 views, got 'single'"),
        ({"method": "v3", "budget": 5, "views": "wide"}, "views.*'wide'"),
        ({"method": "v3", "budget": 5, "options": {"alpha": 1}}, "unknown field of method 'v3': 'alpha'"),
        ({"method": "v3"}, "needs budget"),
        ({"method": "v3", "budget": 5, "weight": 0}, "weight"),
    ],
)
def test_policies_that_make_no_sense_are_refused(entry, message):
    with pytest.raises(RecipeError, match=message):
        build(PolicyConfig, entry)


def test_merging_methods_are_those_whose_tokens_are_mixtures():
    features, layout = torch.rand(1, 36, 8, generator=torch.Generator().manual_seed(0)), ViewLayout.single(6, 6)
    for name, method in METHODS.items():
        if method.selector is not None:
            policy = build_policy(PolicyConfig(name, 9 if method.takes_budget else None), 0, "single384")
            beside = {"edges": torch.rand(1, 36), "attention": torch.rand(1, 36)}
            chosen = policy.selector(features, layout, text=features[:, :2], **beside)
            assert torch.equal(chosen.kept, chosen.gather(features)) != policy.method.merges, name


def test_pooling_is_the_models_own_on_its_views_and_a_selector_on_others():
    assert plain(build(PolicyConfig, "pooled")) == plain(PolicyConfig("pooling"))
    for name in ("pooling", "pooled"):
        assert not PolicyConfig(name).selects
        assert PolicyConfig(name, views="single").selects
        assert PolicyConfig(name, options={"side": 3}).selects
    assert build_policy(PolicyConfig("pooling"), 0, "single384").selector == Pooling()
    assert build_policy(PolicyConfig("full", views="anyres"), 0).views == "anyres_full"


@pytest.mark.parametrize(("low", "high"), [(10, 14), (0.1, 0.5)])
def test_a_range_draws_a_budget_a_step(low, high):
    policy = PolicyConfig("v3", low, up_to=high)
    assert policy.name == f"v3-{low}..{high}"
    drawn = [build_policy(policy, seed).selector.budget for seed in range(400)]
    assert drawn == [build_policy(policy, seed).selector.budget for seed in range(400)]
    assert all(type(budget) is type(low) and low <= budget <= high for budget in drawn)
    if isinstance(low, int):
        counts = [drawn.count(budget) for budget in range(low, high + 1)]
        assert min(counts) > 50
    else:
        assert sum(drawn) / len(drawn) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(("budget", "up_to"), [(None, 9), (9, 9), (9, 5), (9, 0.5), (0.5, 9), (0.3, 1.5)])
def test_ranges_that_make_no_sense(budget, up_to):
    with pytest.raises(ValueError, match=r"up_to|budget"):
        PolicyConfig("v3", budget, up_to=up_to)
