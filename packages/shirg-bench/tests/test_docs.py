"""The examples of docs/ run as printed, and keeping every token gives the model's own answer; links lead somewhere."""

import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "integrate.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/*/README.md")])
LLAVA, QWEN = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def run(block, budget="0.25"):
    assert block.count("budget=0.25") == 1
    names = {"__name__": "integrate"}
    exec(compile(block.replace("budget=0.25", f"budget={budget}"), str(PAGE), "exec"), names)
    return names


@pytest.mark.parametrize(("block", "tokens", "words"), [(LLAVA, 64, 7), (QWEN, 24, 7)], ids=["llava", "qwen"])
def test_the_example_keeps_a_quarter_and_a_summary(block, tokens, words):
    names = run(block)
    assert names["selection"].indices.shape == (1, tokens // 4)
    assert names["inputs"].shape[1] == words + tokens // 4 + 1
    assert names["answer"].shape[1] <= 4


def test_llava_with_every_token_is_the_model_itself():
    names = run(LLAVA, "64, summary='none'")
    image = torch.full((1, 64), 99)
    ids = torch.cat([names["before"], image, names["question"], names["after"]], dim=1)
    own = names["model"].generate(input_ids=ids, pixel_values=(names["image"] - 0.5) / 0.25, max_new_tokens=4)
    assert names["answer"].tolist() == own[:, ids.shape[1] :].tolist()


def test_qwen_with_every_token_is_the_model_itself():
    names = run(QWEN, "24, summary='none'")
    ids = names["prompt"]
    own = names["model"].generate(
        input_ids=ids,
        pixel_values=names["patches"],
        image_grid_thw=names["grid"],
        mm_token_type_ids=(ids == 99).int(),
        max_new_tokens=4,
    )
    assert names["answer"].tolist() == own[:, ids.shape[1] :].tolist()


def test_qwen_positions_are_the_kept_tokens_own():
    names = run(QWEN)
    rows, columns = names["rows"], names["columns"]
    kept = names["kept"][:, 0]
    index = names["selection"].indices[0]
    assert (kept[1] - kept[0]).tolist() == (index // columns).tolist()
    assert (kept[2] - kept[0]).tolist() == (index % columns).tolist()
    assert rows * columns == 24


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
