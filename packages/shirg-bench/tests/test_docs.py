"""The examples of docs/ run as printed, and keeping every token gives the model's own answer; links lead somewhere."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from shirg_core import ViewLayout, shirg_v3

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


@pytest.fixture(scope="module")
def qwen3():
    """A tiny Qwen3-VL, its inputs for an image of 4 × 6 tokens, and its own logits."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64}
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "mrope_interleaved": True, "rope_theta": 1e4}
    heads = {"num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    text = {"vocab_size": 100, "rope_parameters": rope, "eos_token_id": 2, "pad_token_id": 0, **sizes, **heads}
    patch = {"patch_size": 14, "num_position_embeddings": 144, "deepstack_visual_indexes": [0, 1]}
    vision = {"depth": 3, "num_heads": 2, "out_hidden_size": 32, **patch, **sizes}
    ids = {"image_token_id": 99, "video_token_id": 96, "vision_start_token_id": 97, "vision_end_token_id": 98}
    model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision, **ids)).eval()
    prompt, grid = torch.tensor([[1, 5, 97, *[99] * 24, 98, 40, 41]]), torch.tensor([[1, 8, 12]])
    patches, kind = torch.randn(96, 3 * 2 * 14 * 14), (prompt == 99).int()
    with torch.no_grad():
        own = model(input_ids=prompt, pixel_values=patches, image_grid_thw=grid, mm_token_type_ids=kind).logits
        features = model.get_image_features(patches, grid)
        positions, _ = model.model.get_rope_index(prompt, kind, grid)
    return model, prompt, features, positions, own


def test_qwen3_without_its_deepstack_features_is_another_model(qwen3):
    model, prompt, features, positions, own = qwen3
    assert [[tuple(image.shape) for image in layer] for layer in features.deepstack_features] == [[(24, 32)]] * 2
    embedded = model.get_input_embeddings()(prompt)
    embedded = embedded.masked_scatter((prompt == 99)[..., None], torch.cat(features.pooler_output))
    with torch.no_grad():
        silent = model(inputs_embeds=embedded, position_ids=positions).logits
    assert (silent - own).abs().max() > 1e-3


@pytest.mark.parametrize("k", [24, 9])
def test_qwen3_takes_gathered_features_of_every_layer(qwen3, k):
    model, prompt, features, positions, own = qwen3
    seen = features.pooler_output[0][None]
    chosen = shirg_v3(budget=k, summary="none")(seen, ViewLayout.single(4, 6))

    def gathered(rows):
        return (chosen.gather(rows[0][None])[0],)

    kept = torch.ones_like(prompt, dtype=torch.bool)
    kept[prompt == 99] = chosen.mask[0]
    pruned = replace(
        features,
        pooler_output=gathered(features.pooler_output),
        deepstack_features=[gathered(layer) for layer in features.deepstack_features],
    )
    inputs = {"input_ids": prompt[kept][None], "position_ids": positions[:, kept][:, None]}
    with torch.no_grad():
        logits = model(**inputs, attention_mask=kept[kept][None].long(), mm_encoder_outputs={"image": pruned}).logits
    assert logits.shape[1] == k + 6
    if k == 24:
        torch.testing.assert_close(logits, own, rtol=0, atol=1e-5)


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
