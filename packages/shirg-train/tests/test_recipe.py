"""Reading recipes: one clear error for whatever is wrong."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

from shirg_train.recipe import RecipeError, build, plain, read_yaml
from shirg_train.trainer.config import AdapterRecipe

SHIPPED = Path(__file__).parents[3] / "recipes" / "lavida_lora.yaml"


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    sizes: tuple[int, ...] = ()

    def __post_init__(self):
        if self.rate < 0:
            raise ValueError("rate must be ≥ 0")


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["a", "b"] = "a"
    limit: int | None = None
    share: int | float = 1
    inner: Inner = field(default_factory=Inner)
    many: tuple[Inner, ...] = ()
    which: Literal["all"] | tuple[int, ...] = ()


def test_everything_is_read():
    raw = {"name": "x", "kind": "b", "limit": 3, "share": 0.5, "inner": {"rate": "1e-4"}, "many": [{"sizes": [1, 2]}]}
    assert build(Outer, raw) == Outer("x", "b", 3, 0.5, Inner(1e-4), (Inner(sizes=(1, 2)),))
    assert build(Outer, {"name": "x", "limit": None, "share": 768}).share == 768
    assert build(Outer, {"name": "x", "which": "all"}).which == "all"
    assert build(Outer, {"name": "x", "which": [2, 3]}).which == (2, 3)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"name": "x", "innner": {}}, "unknown recipe key 'innner'; known here: name, kind"),
        ({"name": "x", "inner": {"lr": 1}}, "unknown recipe key 'inner.lr'; known here: rate, sizes"),
        ({"name": "x", "many": [{}, {"lr": 1}]}, r"unknown recipe key 'many\[1\].lr'"),
        ({}, "must set name"),
        ({"name": None}, "must set name"),
        ({"name": 3}, "name must be a str, got 3"),
        ({"name": "x", "kind": "c"}, "kind must be a or b, got 'c'"),
        ({"name": "x", "limit": "many"}, "limit must be an integer, got 'many'"),
        ({"name": "x", "limit": True}, "limit must be an integer, got True"),
        ({"name": "x", "inner": {"rate": "fast"}}, "inner.rate must be a number, got 'fast'"),
        ({"name": "x", "inner": {"rate": -1}}, r"inner\.rate must be ≥ 0"),
        ({"name": "x", "inner": 5}, "inner must be a mapping, got 5"),
        ({"name": "x", "inner": {"sizes": 5}}, "inner.sizes must be a list"),
        ({"name": "x", "which": "some"}, "which must be all, or a list, got 'some'"),
        ({"name": "x", "which": 1}, "which must be all, or a list, got 1"),
    ],
)
def test_what_is_wrong_is_named(raw, message):
    with pytest.raises(RecipeError, match=message):
        build(Outer, raw)


def test_overrides(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("a: {b: 1}\nc: x\n")
    assert read_yaml(path, ["a.b=[1, 2]", "d.e=null", "c=1e-4"]) == {"a": {"b": [1, 2]}, "c": "1e-4", "d": {"e": None}}
    path.write_text("a: {b: 1}\nc: x\nd: [{e: 1}, 2]\n")
    assert read_yaml(path, ["d.0.e=3", "d.1=4"])["d"] == [{"e": 3}, 4]
    wrongs = (
        ("a", "key=value"),
        ("c.d=1", "c is not a mapping"),
        ("c=[", "not YAML"),
        ("d.2=1", "2 must be an index below 2"),
    )
    for wrong, message in wrongs:
        with pytest.raises(RecipeError, match=message):
            read_yaml(path, [wrong])


def test_files_that_are_no_recipes(tmp_path):
    path = tmp_path / "r.yaml"
    with pytest.raises(RecipeError, match="no recipe"):
        read_yaml(path)
    with pytest.raises(RecipeError, match="is a folder, not a recipe"):
        read_yaml(tmp_path)
    with pytest.raises(RecipeError, match=r"the recipe cannot be read: .*too long"):
        read_yaml(tmp_path / ("r" * 300))
    jpeg = io.BytesIO()
    Image.new("RGB", (8, 8)).save(jpeg, "JPEG")
    for content, message in (
        (b"- 1\n", "must hold a mapping such as `kind: adapter`, but holds a list"),
        (b"", "but holds nothing"),
        (b"# only a comment\n", "but holds nothing"),
        (jpeg.getvalue(), r"r\.yaml is not YAML: it is not even text in UTF-8 \(byte 0\)"),
        (b"a: \x00b\n", "is not YAML"),
        (b"a: [1\n", "is not YAML"),
        (b"a: 2001-02-30\n", "is not YAML: day .*"),
        (b"a: " + b"[" * 5000, "is not YAML"),
    ):
        path.write_bytes(content)
        with pytest.raises(RecipeError, match=message):
            read_yaml(path)


def test_the_shipped_recipe_is_the_proposals():
    raw = read_yaml(SHIPPED, ["model.path=a/b", "data.path=lcs"])
    recipe = build(AdapterRecipe, raw)
    adapter, optim = recipe.adapter, recipe.optim
    assert (adapter.r, adapter.alpha, adapter.dropout, adapter.bias) == (16, 32.0, 0.05, "lora_only")
    assert adapter.target == ("mm_projector.0", "mm_projector.2")
    # Beyond the proposals, because micro models needed it.
    assert (adapter.language_blocks, recipe.positions) == ("all", "packed")
    assert (optim.lr, optim.weight_decay, optim.betas, optim.warmup_steps) == (1e-4, 0.0, (0.9, 0.999), 500)
    assert (recipe.batch.size, recipe.epochs) == (16, 3.0)
    assert [policy.name for policy in recipe.keep] == [
        "pooling",
        "v2-1024-capped",
        "v2-768",
        "v2-512",
        "v4-1024-capped",
        "v4-768",
        "v4-512",
    ]
    assert recipe.escalation.ranks == (32, 64)
    assert plain(recipe)["keep"][4]["budget"] == 1024


def test_the_shipped_recipe_wants_a_model():
    with pytest.raises(RecipeError, match=r"must set model\.path"):
        build(AdapterRecipe, read_yaml(SHIPPED))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("optim.lr_mm=2e-5", "train_projector"),
        ("keep=[]", "at least one policy"),
        ("engine.zero_stage=4", "zero_stage"),
        ("engine.offload=true", "zero_stage"),
        ("validation.every=0", "escalation needs"),
        ("optim.betas=[0.9]", "two numbers"),
        ("optim.betas=[0.9, 1]", "two numbers in"),
        ("epochs=-1", "^epochs must be a finite number > 0, got -1"),
        ("epochs=.nan", "^epochs must be a finite number > 0, got nan"),
        ("steps=0", "^steps must be an integer ≥ 1, got 0"),
        ("data.max_tokens=-5", r"^data\.max_tokens must be an integer ≥ 0, got -5"),
        ("data.workers=-1", r"^data\.workers must be an integer ≥ 0, got -1"),
        ("data.held_out=-1", r"^data\.held_out must be an integer ≥ 0, got -1"),
        ("loss.extra_padding=-3", r"^loss\.extra_padding must be an integer ≥ 0, got -3"),
        ("loss.epsilon=5", r"^loss\.epsilon must be in \[0, 1\), got 5"),
        ("batch.size=0", r"^batch\.size must be an integer ≥ 1, got 0"),
        ("batch.micro=0", r"^batch\.micro must be an integer ≥ 1, got 0"),
        ("optim.lr=.nan", r"^optim\.lr must be a finite number > 0, got nan"),
        ("optim.max_grad_norm=0", r"^optim\.max_grad_norm must be a finite number > 0, got 0"),
        ("optim.weight_decay=-1", r"^optim\.weight_decay must be a finite number ≥ 0, got -1"),
        ("optim.warmup_steps=-5", r"^optim\.warmup_steps must be an integer ≥ 0, got -5"),
        ("adapter.r=0", r"^adapter\.r must be an integer ≥ 1, got 0"),
        ("adapter.alpha=.inf", r"^adapter\.alpha must be a finite number > 0, got inf"),
        ("adapter.dropout=1", r"^adapter\.dropout must be in \[0, 1\), got 1"),
        ("escalation.margin=.nan", r"^escalation\.margin must be a finite number, got nan"),
        ("checkpoint.keep=0", r"^checkpoint\.keep must be an integer ≥ 1, got 0"),
        ("validation.times=0", r"^validation\.times must be an integer ≥ 1, got 0"),
        ("validation.every=-1", r"^validation\.every must be an integer ≥ 0, got -1"),
        ("keep=[{method: v2, budget: 0.3, weight: .inf}]", "weight must be a finite number > 0, got inf"),
    ],
)
def test_contradictions_are_named(change, message):
    raw = read_yaml(SHIPPED, ["model.path=a/b", "data.path=lcs", change])
    with pytest.raises(RecipeError, match=message):
        build(AdapterRecipe, raw)
