"""A method of one's own: a selector and one line in the registry, and every entry point has it under one name."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from shirg_bench.accuracy.budgets import curve_rows, entries
from shirg_bench.accuracy.methods import table_method
from shirg_bench.accuracy.rows import Run
from shirg_bench.latency import selections
from shirg_bench.latency.variant import Variant
from shirg_bench.lmms.settings import ModelSettings
from shirg_bench.plots.budget import budget_curves
from shirg_bench.plots.speed import matched
from shirg_bench.results.rows import read_rows
from shirg_core.cli.errors import BadInput
from shirg_core.cli.methods import build_selector
from shirg_core.layout import ViewLayout
from shirg_core.methods import METHODS, Method, get_method, lookup
from shirg_core.selection.assemble import keep_best
from shirg_train.keep_ratio import PolicyConfig, draw_policy
from shirg_train.recipe import build, read_yaml
from shirg_train.testbed.compressors.config import PLACES
from shirg_train.trainer.config import AdapterRecipe

from .accuracy_setup import tiny_bench
from .documented import check_documented
from .lmms_setup import shirg, tiny_model, tiny_tasks

REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True)
class FirstTokens:
    budget: int | float

    def __call__(self, features, layout, **_):
        scores = torch.arange(layout.n_tokens, 0, -1, dtype=torch.float32, device=features.device)
        k = self.budget if isinstance(self.budget, int) else round(self.budget * layout.n_selectable)
        return keep_best(features, layout, k, scores.expand(len(features), -1))


@pytest.fixture(autouse=True)
def first(monkeypatch):
    monkeypatch.setitem(METHODS, "first", Method("first", "The first tokens.", FirstTokens))


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.effect_noise((96, 96), 60).convert("RGB").save(tmp_path / "page.png")
    return tiny_model(tmp_path)


def printed(capsys):
    document = json.loads(capsys.readouterr().out)
    check_documented(document)
    return document


@pytest.mark.usefixtures("model")
def test_methods_select_and_compare(capsys):
    assert shirg("methods", "--json", "-") == 0
    assert printed(capsys)["methods"][-1]["name"] == "first"
    assert shirg("select", "page.png", "--method", "first", "--budget", 5, "--json", "-") == 0
    assert printed(capsys)["indices"] == [0, 1, 2, 3, 4]
    assert shirg("compare", "page.png", "--methods", "first", "--budget", 5, "--json", "-") == 0
    assert printed(capsys)["methods"][0]["n_kept"] == 5


def test_ask(model, capsys):
    options = ("--model", model, "--method", "first", "--budget", 5, "--max-new-tokens", 4)
    assert shirg("ask", "page.png", "What?", *options, "--json", "-") == 0
    report = printed(capsys)
    assert (report["method"], report["indices"]) == ("first", [0, 1, 2, 3, 4])


def test_a_recipe():
    changes = ["model.path=x", "data.path=y", "keep=[{method: first, budget: 5, views: single}]"]
    recipe = build(AdapterRecipe, read_yaml(REPOSITORY / "recipes" / "lavida_lora.yaml", changes))
    policy = draw_policy(recipe.keep, 0, 0)
    assert (policy.name, policy.selector) == ("first-5@single", FirstTokens(5))


def test_eval(model, tmp_path):
    options = ("--tasks", "tiny_a", "--include-path", tiny_tasks(tmp_path), "--device", "cpu", "--output", "out")
    assert shirg("eval", "--model", model, "--method", "first", "--budget", 5, *options) == 0
    document = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert document["settings"]["model"]["method"] == "first"
    check_documented(document)


def test_bench(model, tmp_path, monkeypatch):
    options = ("--methods", "first-5,pooling", "--rounds", 1, "--max-new-tokens", 2, "--cache", "on", "--json", "out")
    assert shirg("bench", "--model", model, *options, "--device", "cpu") == 0
    assert [(row["variant"], row["method"]) for row in read_rows(tmp_path / "out")] == [
        ("first-5", "first"),
        ("pooling", "pooling"),
    ]
    monkeypatch.setattr(selections, "LAYOUTS", (ViewLayout.single(8, 8),))
    monkeypatch.setattr(selections, "BUDGETS", (16,))
    *_, rows = selections.selections(torch.device("cpu"), 1, 0)
    assert [row["kept"] for row in rows if row["method"] == "first"] == [16]


def test_ablate_and_the_plots(micro, tmp_path):
    assert {entry.group for entry in entries(14) if entry.method == "first"} == {"budget", "pooled-k"}
    bench = tiny_bench(micro, tmp_path)
    rows = curve_rows(Run(bench, ["easy"], 1, "untrained", ""), methods=["full", "first"])
    assert [row["method"] for row in rows].count("first") == 5
    words = {text.get_text() for axes in budget_curves(rows).axes for text in axes.texts}
    assert {"first", "all tokens"} <= words
    time = {"model": "micro", "dtype": "float32", "cache": True, "end_to_end_ms": 1.0, "budget": 1 / 3, "views": None}
    timed = {**time, "method": "first", "answer_tokens": 5, "nfe": 5}
    assert [point.accuracy["budget"] for point in matched(rows, [timed])] == [1 / 3]


def test_earlier_names_of_recorded_rows_find_their_pair():
    score = {"method": "pooling", "budget": None}
    time = {"model": "micro", "dtype": None, "cache": True, "end_to_end_ms": 1.0, "budget": None, "views": "single384"}
    assert len(matched([score], [{**time, "method": "pooled"}])) == 1
    assert len(matched([{**score, "method": "full"}], [{**time, "method": "baseline"}])) == 1
    assert not matched([{**score, "method": "downsampled"}], [{**time, "method": "full"}])


def test_a_policy_of_a_made_up_name_suggests_the_method():
    with pytest.raises(ValueError, match="unknown method 'frist', did you mean 'first'"):
        PolicyConfig("frist", 5)


@pytest.mark.parametrize("name", [*METHODS, "pooled"])
def test_every_command_takes_a_name_or_says_why_not(name):
    """`select` and `compare`, `ask`, recipes, `eval`, `bench`, `ablate`."""
    method = lookup(name)
    amount = "-0.5" if method.takes_budget else ""
    given = {"budget": 0.5} if method.takes_budget else {}
    commands = {
        "select": lambda: build_selector(name, 0.5, method.accepted(text_weight=0)),
        "ask": lambda: get_method(name).name,
        "train": lambda: PolicyConfig(name, **given).method,
        "eval": lambda: ModelSettings(method=name, **given).resolved().method,
        "bench": lambda: Variant.parse(f"{name}{amount}").method,
        "ablate": lambda: table_method(name),
    }
    refused = {}
    for command, use in commands.items():
        try:
            used = use()
        except (ValueError, BadInput) as error:
            refused[command] = str(error)
        else:
            assert command == "select" or used == method.name
    assert all(method.name in reason and "\n" not in reason for reason in refused.values())
    known = {
        "v3-tower": {"select"},
        "v4-tower": {"select"},
        "top-relevance": {"select"},
        "cdpruner": {"select"},
        "full": {"select"},
        "baseline": {"select", "ablate"},
        "downsampled": set(commands) - {"ablate"},
        "rerank": {"select"},
        "two-stage": {"select"},
        "fastv": set(commands) - {"bench"},
        "redvtp": set(commands) - {"bench"},
        **{learned: set(commands) for learned in PLACES},
    }
    assert set(refused) == known.get(name, set())
