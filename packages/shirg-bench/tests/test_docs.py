"""The examples of docs/ run as printed, links lead somewhere, and recorded results are as docs/json.md says."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest
import torch

from shirg_bench.results.rows import read_rows
from shirg_core import ViewLayout
from shirg_core.methods import METHODS

from .documented import check_documented

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "integrate.md"
RECORDED = sorted(ROOT.glob("packages/shirg-bench/results/**/[alp]*.jsonl"))
PAGES = sorted(page for where in ("*", "docs/**/*", "packages/**/*", "findings/*") for page in ROOT.glob(f"{where}.md"))
TRANSFORMERS, PRUNING, OWN, TOWER, ENGINE = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL
)


def run(*blocks, budget="budget=0.25"):
    names = {"__name__": "integrate"}
    for block in blocks:
        exec(compile(block.replace("budget=0.25", budget), str(PAGE), "exec"), names)
    return names


def test_two_lines_keep_a_quarter_and_a_summary():
    names = run(TRANSFORMERS)
    pruned, text = names["pruned"], 6
    assert names["selection"].indices.shape == (1, 6)
    assert (names["layout"].views[0].h, names["layout"].views[0].w) == (4, 6)
    assert pruned["input_ids"].shape == (1, text + 6 + 1)
    assert names["answer"].shape[1] <= text + 6 + 1 + 4


def test_keeping_every_token_is_the_model_itself():
    names = run(TRANSFORMERS, budget="budget=1.0")
    assert names["answer"].tolist() == names["model"].generate(**names["inputs"], max_new_tokens=4).tolist()


def test_code_that_is_not_ours_gets_its_whole_prompt_back():
    names = run(TRANSFORMERS, PRUNING)
    own, length = names["pruned"]["input_ids"].shape[1], names["prompt"].shape[1]
    assert names["kept"] == [6]
    assert names["whole"][:, :length].tolist() == names["prompt"].tolist()
    assert names["whole"][:, length:].tolist() == names["answer"][:, own:].tolist()


def test_a_model_of_ones_own_reads_the_kept_tokens_and_the_summary():
    names = run(OWN)
    assert names["selection"].indices.shape == (1, 16)
    assert names["states"].shape == (1, 7 + 16 + 1, 32)
    assert names["places"].tolist() == (names["selection"].indices + 2).tolist()
    whole = run(OWN, budget="budget=1.0")
    assert whole["sequence"][:, 2:66].tolist() == whole["features"].tolist()


def test_a_towers_attention_chooses_its_patches():
    names = run(OWN, TOWER)
    assert names["by_tower"].indices.shape == (1, 16)
    assert names["seen"].received.shape == names["seen"].cls.shape == (1, 64)


def test_an_engine_knows_the_count_before_the_pixels():
    names = run(OWN, ENGINE)
    assert names["count"] == 144
    chosen = names["engine_selector"](torch.randn(1, 576, 8), ViewLayout.single(24, 24))
    assert chosen.tokens.shape[1] == names["count"]
    assert hash(names["memo_key"])


def anchors(page):
    """As they are made of headings: lower case, spaces to hyphens, punctuation dropped."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{page} links to {target}"
        assert not anchor or anchor in anchors(there), f"{page} links to {target}"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: "/".join(path.parts[-2:]))
def test_every_recorded_row_is_documented(path):
    rows = read_rows(path)
    assert rows
    for row in rows:
        check_documented(row)


def nav_pages(entries):
    for entry in entries:
        for target in entry.values():
            yield from [target] if isinstance(target, str) else nav_pages(target)


def test_the_site_has_every_page_of_its_menu_and_what_they_link_to(tmp_path):
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    generate["main"].__globals__["SITE"] = tmp_path
    generate["main"]()
    menu = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    assert [page for page in nav_pages(menu) if not (tmp_path / page).is_file()] == []
    commands = (tmp_path / "docs" / "commands.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## shirg (\w+)$", commands, flags=re.MULTILINE)) >= {"ask", "select", "train", "eval"}
    assert "| `--budget <str>` | Visual tokens to keep: a count, 0.25, 1/4 or 25%" in commands
    methods = (tmp_path / "docs" / "methods.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\S+)` \|", methods, flags=re.MULTILINE) == list(METHODS)
    for page in tmp_path.glob("**/*.md"):  # the site's builder does not look for pictures and downloads
        for target in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page} links to {target}"
