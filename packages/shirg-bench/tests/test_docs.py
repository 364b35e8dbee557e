"""The examples of docs/ run as printed, and keeping every token gives the model's own answer; links lead somewhere."""

import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "integrate.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/*/README.md")])
LLAVA, ONEVISION, QWEN = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


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


def unpacked(names, image, prompt):
    """The prompt as the model's own processor would write it, and the pixels."""
    seen = names["prepare"](image, return_tensors="pt")
    pixels = {name: seen[name] for name in ("pixel_values", "image_sizes")}
    n = len(names["model"].get_image_features(**pixels).pooler_output[0])
    return torch.cat([prompt[:2], torch.full((n,), 99), prompt[3:]])[None], pixels


def test_onevision_with_every_token_is_the_model_itself():
    names = run(ONEVISION, "1 - 1e-9, summary='none'")
    for image, prompt, answer in zip(names["images"], names["prompts"], names["answers"], strict=True):
        ids, pixels = unpacked(names, image, prompt)
        mask = torch.ones_like(ids)
        own = names["model"].generate(ids, **pixels, attention_mask=mask, max_new_tokens=4, pad_token_id=0)
        assert answer.tolist() == own[0, ids.shape[1] :].tolist()


def test_onevision_answers_a_batch_as_its_images_one_by_one():
    names = run(ONEVISION)
    given = names["images"], names["prompts"], names["questions"]
    for b, answer in enumerate(names["answers"]):
        one = [list_[b : b + 1] for list_ in given]
        assert names["answer"](*one, names["selector"])[0].tolist() == answer.tolist()


def test_onevision_images_without_crops_keep_their_newline():
    names = run(ONEVISION)
    model, two = names["model"], names["prepare"]([names["images"]], return_tensors="pt")
    given = two["pixel_values"], two["image_sizes"]
    for packed in model.get_image_features(*given, batch_num_images=two["batch_num_images"]).pooler_output:
        assert len(packed) == 64 + 1
        question = names["words"](names["questions"][0])
        tokens, places = names["choose"](packed.detach(), names["images"][0], question, names["selector"])
        assert len(tokens) == 16 + 1 + 1
        assert places[-2:].tolist() == [64, 64]


def test_onevision_rows_that_kept_a_token_keep_their_newline():
    names = run(ONEVISION)
    image, prompt, question = (names[list_][0] for list_ in ("images", "prompts", "questions"))
    _, pixels = unpacked(names, image, prompt)
    packed = names["model"].get_image_features(**pixels).pooler_output[0].detach()
    tokens, places = names["choose"](packed, image, names["words"](question), names["selector"])
    newline = names["model"].model.image_newline
    is_newline, ends = (tokens == newline).all(-1), (packed == newline).all(-1).nonzero().flatten()
    kept = places[:-1][~is_newline[:-1]]  # the last one is the summary
    assert len(kept) == round(0.25 * (len(packed) - len(ends)))
    assert torch.equal(tokens[:-1], packed[places[:-1]])
    rows = {int(torch.searchsorted(ends, place)) for place in kept if place >= 64}
    assert places[is_newline].tolist() == ends[sorted(rows)].tolist()


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
