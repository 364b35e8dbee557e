"""What fits: places of a prefix, the context, and what a budget can serve."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from shirg_core.anyres import anyres_layout
from shirg_core.budget import BudgetError
from shirg_core.layout import ViewLayout
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.testing import tiny_lavida
from shirg_train.keep_ratio import PolicyConfig, build_policy
from shirg_train.recipe import RecipeError, build, read_yaml
from shirg_train.trainer.config import AdapterRecipe
from shirg_train.trainer.fit import Fit, kept_count, prefix_places

from .training_setup import TinySample

RECIPE = Path(__file__).parents[3] / "recipes" / "lavida_lora.yaml"


def sample(*sizes, answer=2):
    images = tuple(Image.effect_noise(size, 60).convert("RGB") for size in sizes)
    prompt = torch.tensor([1, *[IMAGE_TOKEN_ID] * len(sizes), 2, 3])
    return TinySample(prompt, prompt[-2:], torch.arange(answer), images)


@pytest.mark.parametrize("positions", ["packed", "original"])
@pytest.mark.parametrize(
    "entry",
    [
        "pooled",
        "baseline",
        "full",
        0.5,
        {"method": "v2", "budget": 30},
        {"method": "v2", "budget": 900, "cap_budget": True},
        {"method": "scissor"},
        {"method": "pooling", "views": "single"},
        {"method": "random", "budget": 12, "views": "pooled_base"},
    ],
    ids=str,
)
def test_no_prefix_is_longer_than_foreseen(entry, positions):
    model, policy = tiny_lavida(side=5), build_policy(build(PolicyConfig, entry), 0)
    for some in (sample((70, 40)), sample((40, 90), (64, 64))):
        prefix = model.embed_prompt(
            [some.prompt_ids], some.images, selector=policy.selector, views=policy.views, positions=positions
        )
        foreseen = prefix_places(model.config, policy, positions, some)
        taken = prefix.shape[1] if prefix.positions is None else int(prefix.positions.max()) + 1
        assert taken <= foreseen
        if policy.selector is None:
            assert taken == foreseen


def test_the_longest_prefix_and_the_longest_answer_must_fit_together():
    policy = build_policy(PolicyConfig("baseline"), 0)
    fit = Fit(tiny_lavida(side=5, max_sequence_length=60).config, policy, "packed")
    assert fit.refuse(sample((64, 64), answer=20)) is None
    assert fit.refuse(sample((64, 64), (64, 64), answer=2)).startswith("context: ")
    assert fit.refuse(sample((64, 64), answer=25)) is None
    assert fit.refuse(sample((64, 64), answer=31)).startswith("context: ")
    assert fit.room == 60 - prefix_places(fit.config, policy, "packed", sample((64, 64)))


def test_a_budget_below_what_must_be_kept_is_told_like_one_above():
    layout = ViewLayout.anyres(2, 2, 4)
    for budget, message in ((3, "smaller"), (81, "larger")):
        with pytest.raises(BudgetError, match=f"K={budget} is {message}"):
            kept_count(build_policy(PolicyConfig("v2", budget), 0), layout)
    assert kept_count(build_policy(PolicyConfig("v2", 80), 0), layout) == 80


def test_every_policy_of_the_shipped_recipe_serves_a_text_line():
    raw = read_yaml(RECIPE, ["model.path=x", "data.path=y"])
    layouts = {"single": ViewLayout.single(48, 48), "anyres": anyres_layout((400, 40))}
    selecting = [policy for policy in build(AdapterRecipe, raw).keep if policy.selects]
    kept = {
        policy.name: kept_count(build_policy(policy, 0), layouts[build_policy(policy, 0).views]) for policy in selecting
    }
    assert kept == {
        "v2-1024-capped": 999,
        "v2-768": 768,
        "v2-512": 512,
        "v4-1024-capped": 999,
        "v4-768": 768,
        "v4-512": 512,
    }


def test_a_cap_needs_a_number_of_tokens():
    for entry in ({"method": "v2", "budget": 0.5, "cap_budget": True}, {"method": "pooled", "cap_budget": True}):
        with pytest.raises(RecipeError, match="cap_budget needs a budget that is a number of tokens"):
            build(PolicyConfig, entry)
