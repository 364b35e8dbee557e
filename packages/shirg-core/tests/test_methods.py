"""The registry: what it says of each method is so, names are found, bad fields are refused."""

import dataclasses
import json
from itertools import combinations

import pytest
import torch
from PIL import Image

import shirg_core
from shirg_core import ShirgV2, ViewLayout, get_selector
from shirg_core.baselines import ConditionalDPP, Pooling, TopScore
from shirg_core.cli.app import main
from shirg_core.methods import METHODS, Method, get_method, lookup
from shirg_core.selection.assemble import keep_best

SELECTORS = [method for method in METHODS.values() if method.selector is not None]
LAYOUT = ViewLayout.single(6, 6)
GENERATOR = torch.Generator().manual_seed(0)
FEATURES = torch.rand(1, 36, 8, generator=GENERATOR)
INPUTS = {"text": FEATURES[:, :3]} | {name: torch.rand(1, 36, generator=GENERATOR) for name in ("edges", "attention")}


def of(methods):
    return pytest.mark.parametrize("method", methods, ids=lambda method: method.name)


def built(method):
    return method.build(**method.accepted(budget=9))


@of(SELECTORS)
def test_a_method_needs_what_it_says_and_nothing_else(method):
    built(method)(FEATURES, LAYOUT, **{name: INPUTS[name] for name in method.needs})
    for few in combinations(method.needs, len(method.needs) - 1) if method.needs else ():
        with pytest.raises(ValueError, match="needs"):
            built(method)(FEATURES, LAYOUT, **{name: INPUTS[name] for name in few})


@of(SELECTORS)
def test_a_method_keeps_what_it_says(method):
    features = FEATURES.clone()
    features[0, :4] = features[0, 0]
    chosen = built(method)(features, LAYOUT, **INPUTS)
    other = built(method)(torch.ones_like(features), LAYOUT, **INPUTS)
    counts = {chosen.indices.shape[1], other.indices.shape[1]}
    assert method.takes_budget == ("budget" in method.fields)
    assert {"exact": counts == {9}, "layout": counts == {9}, "image": len(counts) == 2}[method.keeps]
    assert method.merges == (not torch.equal(chosen.kept, chosen.gather(features)))


def test_every_line_is_found_by_its_name_and_by_its_aliases():
    names = [name for method in METHODS.values() for name in (method.name, *method.aliases)]
    assert len(names) == len(set(names))
    assert all(lookup(name).name == key for key, method in METHODS.items() for name in (key, *method.aliases))
    assert all(method.about.endswith(".") and len(method.about) < 80 for method in METHODS.values())


def test_selectors_by_name():
    assert get_selector("v2", budget=0.25, beta=0) == ShirgV2(0.25, beta=0)
    assert get_selector("top-edge", budget=9) == TopScore(9, "edge")
    assert get_selector("dpp", budget=9) == ConditionalDPP(9, relevance="uniform")
    assert get_selector("pooled") == get_selector("pooling") == Pooling()
    assert shirg_core.get_selector is get_selector


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("divprun", {}, r"unknown method 'divprun', did you mean 'divprune'\? known: v2, v3"),
        ("", {}, "unknown method ''; known"),
        ("v3", {}, "method 'v3' needs budget"),
        ("v3", {"budget": 9, "alfa": 1}, "unknown field of method 'v3': 'alfa'; known: budget, attention_weight"),
        ("v2", {"budget": 9, "alfa": 1}, "'alfa', did you mean 'alpha'"),
        ("pooling", {"budget": 9}, "unknown field of method 'pooling': 'budget'; known: side"),
        ("top-edge", {"budget": 9, "score": "variance"}, "unknown field of method 'top-edge': 'score'"),
        ("v3", {"budget": 0}, "budget must be .* got 0"),
        ("full", {}, "method 'full' has no selector: Every token"),
        ("redvtp", {"budget": 0.5}, "method 'redvtp' runs only in `shirg ablate --what late`"),
    ],
)
def test_what_cannot_be_built(name, fields, message):
    with pytest.raises(ValueError, match=message):
        get_selector(name, **fields)


def test_the_command_lists_them(capsys):
    assert main(["methods", "--json", "-"]) == 0
    listed = json.loads(capsys.readouterr().out)["methods"]
    assert [method["name"] for method in listed] == list(METHODS)
    assert {"v2": ["text", "edges"]}.items() <= {method["name"]: method["needs"] for method in listed}.items()
    assert main(["methods"]) == 0
    table = capsys.readouterr().out.split()
    assert set(METHODS) <= set(table)
    assert {"pooled.", "merged", "edges"} <= set(table)


def test_a_list_that_cannot_be_written_names_the_path_that_was_asked_for(tmp_path, capsys):
    assert main(["methods", "--json", str(tmp_path / "none" / "list.json")]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert (
        output.err
        == f"shirg: error: cannot write {tmp_path / 'none' / 'list.json'}: there is no folder {tmp_path / 'none'}\n"
    )


@dataclasses.dataclass(frozen=True)
class FirstTokens:
    budget: int

    def __call__(self, features, layout, **_):
        scores = torch.arange(layout.n_tokens, 0, -1, dtype=torch.float32)
        return keep_best(features, layout, self.budget, scores.expand(len(features), -1))


def test_a_method_of_ones_own_is_in_select_and_compare(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(METHODS, "first", Method("first", "The first tokens.", FirstTokens))
    Image.new("RGB", (96, 96), "white").save(tmp_path / "page.png")
    page = str(tmp_path / "page.png")
    assert main(["select", page, "--method", "first", "--budget", "5", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["indices"] == [0, 1, 2, 3, 4]
    assert main(["compare", page, "--methods", "first,uniform", "--budget", "5", "--json", "-"]) == 0
    assert [each["method"] for each in json.loads(capsys.readouterr().out)["methods"]] == ["first", "uniform"]
    assert get_method("first").fields == ("budget",)


def test_completion_shows_public_names_only():
    assert dir(shirg_core) == sorted(shirg_core.__all__)
    assert all(getattr(shirg_core, name) is not None for name in dir(shirg_core))
