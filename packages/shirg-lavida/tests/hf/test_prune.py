"""What `prune` gives beside the families' two truths, and that bad input is one clear line."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from shirg_core import ViewLayout, get_selector, shirg_v2, shirg_v3
from shirg_core.baselines import Deduplication
from shirg_core.hf import prune
from shirg_core.hf.places import cell_edges
from shirg_core.hf.question import question_words
from shirg_core.scores import edge_density

from .families import BOS, END, EOS, FAMILIES, IMAGE, OTHERS, PAD, START, WORDS

FAMILY = {family.name: family for family in FAMILIES}
LLAVA, QWEN, QWEN3, GEMMA = (FAMILY[name] for name in ("llava", "qwen2_5_vl", "qwen3_vl", "gemma4"))


class Recorder:
    """A selector that remembers what it was asked."""

    def __init__(self):
        self.calls = []

    def __call__(self, features, layout, **given):
        self.calls.append((features, layout, given))
        return shirg_v3(0.5)(features, layout)


def asked(family, inputs, **options):
    recorder = Recorder()
    prune(family.model(), inputs, recorder, positions="packed", **options)
    return recorder.calls


def test_selections_are_one_an_image_with_its_layout():
    inputs = QWEN.prompts([0, 1], [1])
    pruned = prune(QWEN.model(), inputs, shirg_v2(0.25))
    assert [s.indices.shape for s in pruned.selections] == [(1, 6), (1, 2), (1, 2)]
    assert pruned.layouts == [ViewLayout.single(4, 6), ViewLayout.single(3, 2), ViewLayout.single(3, 2)]
    assert set(pruned) == {"input_ids", "attention_mask", "position_ids", "mm_token_type_ids", "mm_encoder_outputs"}
    assert len(pruned) == 5


@pytest.mark.parametrize("name", ["internvl", "qianfan_ocr"])
def test_tiles_in_a_row_are_views_of_one_image_and_others_are_images(name):
    (family,) = (family for family in FAMILIES + OTHERS if family.name == name)
    pruned = prune(family.model(), family.prompts([1, 0, 1]), shirg_v3(0.25))
    assert [len(layout.views) for layout in pruned.layouts] == [3, 1, 3]


def test_an_overlay_is_drawn_over_the_page():
    page = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8))
    pruned = prune(QWEN.model(), QWEN.prompts([0, 1]), shirg_v2(0.25))
    assert pruned.overlay(page).get_axes()
    assert pruned.overlay(page, 1, "second").texts[0].get_text() == "second"


def test_the_question_is_the_prompt_without_special_ids_and_placeholders():
    model, inputs = QWEN.model(), QWEN.prompts([0], [1])
    table = model.get_input_embeddings()
    for (_, _, given), words in zip(asked(QWEN, inputs), WORDS, strict=True):
        assert torch.equal(given["text"], table(torch.tensor([[5, *words, 6]])))
    for question in (WORDS, [torch.tensor(words) for words in WORDS]):
        for (_, _, given), words in zip(asked(QWEN, inputs, question=question), WORDS, strict=True):
            assert torch.equal(given["text"], table(torch.tensor([words])))
    assert all(given["text"] is None for _, _, given in asked(QWEN, inputs, question=None))
    ((_, _, given),) = asked(QWEN, QWEN.prompts([0]), question=WORDS[1])
    assert torch.equal(given["text"], table(torch.tensor([WORDS[1]])))


def test_special_ids_are_those_that_the_configs_name():
    model = LLAVA.model()
    ids = torch.tensor([[BOS, EOS, PAD, IMAGE, 40]])
    (words,) = question_words(model, ids, torch.ones_like(ids, dtype=torch.bool), "auto")
    assert torch.equal(words, model.get_input_embeddings()(torch.tensor([[40]])))
    named = QWEN.model()
    ids = torch.tensor([[START, IMAGE, END, 50]])
    (words,) = question_words(named, ids, torch.ones_like(ids, dtype=torch.bool), "auto")
    assert torch.equal(words, named.get_input_embeddings()(torch.tensor([[50]])))


def test_edges_are_those_of_the_pixels_that_the_model_is_given():
    picture = torch.randn(3, 112, 168, generator=torch.Generator().manual_seed(0))
    wanted = edge_density(picture[None], 4, 6)
    # As the processors of Qwen cut: rows and columns of merged patches, then patches, channels, frames, pixels.
    cut = picture.reshape(3, 4, 2, 14, 6, 2, 14).permute(1, 4, 2, 5, 0, 3, 6)[..., None, :, :]
    inputs = QWEN.prompts([0]) | {"pixel_values": cut.expand(*cut.shape[:5], 2, 14, 14).reshape(96, -1)}
    ((_, _, given),) = asked(QWEN, inputs)
    torch.testing.assert_close(given["edges"], wanted)
    # As Gemma's: patches of pixels, channels last.
    small = picture[:, :32, :48]
    patches = small.reshape(3, 8, 4, 12, 4).permute(1, 3, 2, 4, 0).reshape(1, 96, 48)
    ((_, _, given),) = asked(GEMMA, GEMMA.prompts([0]) | {"pixel_values": patches})
    torch.testing.assert_close(given["edges"], edge_density(small[None], 4, 6))
    ((_, _, given),) = asked(LLAVA, LLAVA.prompts([0]) | {"pixel_values": picture[None, :, :, :112]})
    torch.testing.assert_close(given["edges"], edge_density(picture[None, :, :, :112], 8, 8))


@pytest.mark.parametrize("name", ["paddleocr_vl", "kimi_k25"])
def test_patches_line_by_line_lie_where_their_tokens_do(name):
    (family,) = (family for family in OTHERS if family.name == name)
    inputs, picture = family.prompts([0]), torch.randn(3, 8 * 14, 12 * 14)
    lines = picture.unflatten(2, (12, 14)).unflatten(1, (8, 14))  # [3, 8, 14, 12, 14]
    inputs["pixel_values"] = lines.permute(1, 3, 0, 2, 4).flatten(0, 1)
    ((_, layout, given),) = asked(family, inputs)
    assert layout == ViewLayout.single(4, 6)
    torch.testing.assert_close(given["edges"], edge_density(picture[None], 4, 6))


def test_every_image_may_merge_its_patches_in_its_own_way():
    from transformers import VideoLlama3ImageProcessor

    (family,) = (family for family in OTHERS if family.name == "video_llama_3")
    assert [
        layout.views[0].n_tokens for layout in prune(family.model(), family.prompts([0, 1]), shirg_v2(1.0)).layouts
    ] == [24, 24]
    picture = torch.randint(0, 256, (3, 8 * 14, 12 * 14), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    plain = {"do_resize": False, "do_normalize": False, "do_rescale": False, "patch_size": 14, "merge_size": 2}
    given = VideoLlama3ImageProcessor(**plain)(picture, return_tensors="pt")
    ((_, layout, seen),) = asked(family, family.prompts([0]) | {"pixel_values": given["pixel_values"].float()})
    assert layout == ViewLayout.single(4, 6)
    torch.testing.assert_close(seen["edges"], edge_density(picture[None].float(), 4, 6))


def test_what_else_a_model_makes_of_its_images_goes_along():
    (family,) = (family for family in OTHERS if family.name == "ovis2")
    inputs = family.prompts([0])
    image = prune(family.model(), inputs, shirg_v2(0.25))["mm_encoder_outputs"]["image"]
    own = family.encoder.get_image_features(inputs["pixel_values"], return_dict=True)
    assert torch.equal(image.visual_indicator_features, own.visual_indicator_features)
    assert image.last_hidden_state is None


@pytest.mark.parametrize(
    ("config", "missing"),
    [("MuseGlimmerConfig", "spatial_merge_size"), ("Cosmos3EdgeConfig", "temporal_patch_size")],
)
def test_patches_in_an_unknown_order_are_refused(config, missing):
    import transformers

    from shirg_core.hf.geometry import find_geometry

    home = SimpleNamespace(config=getattr(transformers, config)())
    with pytest.raises(ValueError, match=rf"no vision_config\.{missing}, so the places of its patches are unknown"):
        find_geometry(home, FAMILY["qwen2_vl"].prompts([0]), [torch.zeros(24, 32)])


def test_a_grid_that_does_not_count_the_patches_is_refused():
    from shirg_core.hf.geometry import find_geometry

    inputs = FAMILY["qwen2_vl"].prompts([0]) | {"image_grid_thw": torch.tensor([[1, 4, 6]])}
    with pytest.raises(ValueError, match="counts 24 patches, but pixel_values hold 96"):
        find_geometry(FAMILY["qwen2_vl"].encoder, inputs, [torch.zeros(24, 32)])


def test_a_mosaic_without_sizes_is_refused():
    from shirg_core.hf.geometry import find_geometry

    inputs = {name: value for name, value in FAMILY["llava_next"].prompts([0]).items() if name != "image_sizes"}
    with pytest.raises(ValueError, match="has image newlines, but the inputs hold no image_sizes"):
        find_geometry(FAMILY["llava_next"].encoder, inputs, [torch.zeros(24, 32)])


def test_attention_on_patches_line_by_line_is_the_mean_behind_each_token():
    from shirg_core.hf.geometry import find_geometry

    (family,) = (family for family in OTHERS if family.name == "paddleocr_vl")
    inputs, received = family.prompts([0]), torch.arange(96.0)
    (found,) = find_geometry(family.encoder, inputs, [torch.zeros(24, 32)], [received])
    wanted = torch.nn.functional.avg_pool2d(received.reshape(1, 8, 12), 2).flatten(1)
    torch.testing.assert_close(found.attention, wanted)


def test_edges_of_a_mosaic_lie_where_its_tokens_do():
    """A picture of 60 × 150 lies on a canvas of 2 × 3 crops, whose upper and lower two rows of tokens are padding."""
    family = FAMILY["llava_next"]
    inputs = family.prompts([0])
    whole = torch.zeros(3, 112, 168)
    whole[:, 28:84, 42:56] = torch.randn(3, 56, 14, generator=torch.Generator().manual_seed(0))
    crops = whole.reshape(3, 2, 56, 3, 56).permute(1, 3, 0, 2, 4).flatten(0, 1)
    inputs["pixel_values"] = torch.cat([torch.zeros(1, 3, 56, 56), crops])[None]
    ((_, layout, given),) = asked(family, inputs)
    assert [(view.h, view.w) for view in layout.views] == [(4, 4), (4, 12)]
    # Edges cross into a neighbouring token where the stripe's border does, but not those of another crop's.
    inked = given["edges"][0, 16:].reshape(4, 12) > 0
    assert inked[:, 3].all()
    assert not inked[:, :2].any()
    assert not inked[:, 4:].any()


def test_several_images_of_a_prompt_are_base_views_with_one_newline_each():
    family = FAMILY["llava_onevision"]
    model, ids = family.model(), torch.tensor([[1, 5, *[IMAGE] * 17, 7, *[IMAGE] * 17, 40, 41]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": torch.randn(2, 7, 3, 56, 56)}
    inputs |= {"image_sizes": torch.tensor([[60, 150], [150, 40]]), "batch_num_images": torch.tensor([2])}
    pruned = prune(model, inputs, shirg_v2(5, summary="none"))
    assert pruned.layouts == [ViewLayout.single(4, 4)] * 2
    assert (pruned["input_ids"] == IMAGE).sum() == 2 * (5 + 1)
    for image in pruned["mm_encoder_outputs"]["image"].pooler_output:
        assert torch.equal(image[-1], model.model.image_newline)
    whole = model.generate(**prune(model, inputs, shirg_v2(1.0)), max_new_tokens=3)
    assert whole.tolist() == model.generate(**inputs, max_new_tokens=3).tolist()


def test_a_mosaic_that_the_model_makes_smaller_keeps_its_edges_in_place():
    """LLaVA-OneVision resizes what is more than nine crops: 20 × 24 tokens become fewer."""
    family, config = FAMILY["llava_onevision"], FAMILY["llava_onevision"].config()
    config.image_grid_pinpoints = [[280, 336]]
    model, pixels, sizes = family.build(config).eval(), torch.zeros(1, 31, 3, 56, 56), torch.tensor([[280, 336]])
    pixels[0, 1] = torch.randn(3, 56, 56, generator=torch.Generator().manual_seed(0))  # the upper left crop
    n = family.rows.__wrapped__(SimpleNamespace(encoder=model.model), {"pixel_values": pixels, "image_sizes": sizes})
    ids, recorder = torch.tensor([[1, *[IMAGE] * n, 40]]), Recorder()
    prune(model, {"input_ids": ids, "pixel_values": pixels, "image_sizes": sizes}, recorder)
    ((_, layout, given),) = recorder.calls
    h, w = layout.views[1].h, layout.views[1].w
    assert h * w < 20 * 24
    inked = given["edges"][0, 16:].reshape(h, w) > 0
    assert inked[: h // 5, : w // 6].all()
    assert not inked[-(-h // 5) + 1 :].any()
    assert not inked[:, -(-w // 6) + 1 :].any()


def test_towers_leave_out_what_fills_no_patch():
    """SigLIP at 384 pixels sees 27 × 27 patches of 14: six pixels at the right and below belong to none."""
    from shirg_core.hf.geometry import _grids

    pixels = torch.zeros(1, 3, 59, 59)
    pixels[..., 57:] = torch.rand(2)
    (found,) = _grids(pixels, None, [torch.zeros(16, 8)], None, cell_edges)
    assert found.layout == ViewLayout.single(4, 4)
    assert not found.pixels.any()


@pytest.mark.parametrize(
    ("name", "patch", "token"),
    [
        ("llava", (0, slice(None), slice(14, 28), slice(28, 42)), 8 + 2),
        # The crop's third row is the mosaic's first: those above are padding.
        ("llava_next", (0, 1, slice(None), slice(28, 42), slice(42, 56)), 16 + 3),
        ("qwen2_5_vl", slice(36, 40), 9),
        ("gemma4", (0, 0), 0),
    ],
)
def test_a_method_on_pixels_compares_those_of_every_token(name, patch, token, monkeypatch):
    """Every token but one has the same pixels, and no two the same features."""
    family, cells, choose = FAMILY[name], [], Deduplication.__call__
    inputs = family.prompts([0])
    inputs["pixel_values"] = torch.zeros_like(inputs["pixel_values"])
    inputs["pixel_values"][patch] = 1
    monkeypatch.setattr(Deduplication, "__call__", lambda *a, **k: cells.append(a[1][0]) or choose(*a, **k))
    pruned = prune(family.model(), inputs, get_selector("dedup-max", budget=5))
    (seen,), (selection,), (layout,) = cells, pruned.selections, pruned.layouts
    assert len(seen) == layout.n_tokens
    assert (seen != seen[1]).any(dim=1).nonzero().flatten().tolist() == [token]
    assert token in selection.indices[0].tolist()
    answer = family.model().generate(**pruned, max_new_tokens=2, min_new_tokens=2, do_sample=False)
    assert answer.shape[1] == pruned["input_ids"].shape[1] + 2


def test_images_of_their_own_shapes_are_told_by_their_sizes():
    """As Pixtral's: pixels filled up to the largest image, one entry of rows an image."""
    from shirg_core.hf.geometry import _grids

    sizes = torch.tensor([[28, 56], [56, 42]])
    found = _grids(torch.rand(2, 3, 56, 56), sizes, [torch.zeros(8, 8), torch.zeros(12, 8)], None, cell_edges)
    assert [geometry.layout for geometry in found] == [ViewLayout.single(2, 4), ViewLayout.single(4, 3)]


def test_right_padding_stays_at_the_right():
    model, inputs = LLAVA.model(), LLAVA.prompts([0], [1])
    order = inputs["attention_mask"].sort(dim=1, descending=True, stable=True).indices
    moved = {name: inputs[name].gather(1, order) for name in ("input_ids", "attention_mask")}
    pruned = prune(model, {**inputs, **moved}, shirg_v3(4))
    left = prune(model, inputs, shirg_v3(4))
    assert not pruned["attention_mask"][0, -1]
    for b in range(2):
        mine, other = (given["attention_mask"][b].bool() for given in (pruned, left))
        assert pruned["input_ids"][b][mine].tolist() == left["input_ids"][b][other].tolist()
        assert pruned["position_ids"][b][mine].tolist() == left["position_ids"][b][other].tolist()


def test_positions_of_the_caller_are_cut_along():
    inputs = LLAVA.prompts([0])
    at = torch.arange(inputs["input_ids"].shape[1])[None] * 3
    pruned = prune(LLAVA.model(), {**inputs, "position_ids": at}, shirg_v3(4))
    assert (pruned["position_ids"] % 3 == 0).all()
    assert pruned["position_ids"][0, -1] == at[0, -1]


def test_nothing_of_the_inputs_is_changed_and_no_graph_is_kept():
    inputs = QWEN3.prompts([0])
    before = {name: value.clone() for name, value in inputs.items()}
    pruned = prune(QWEN3.model(), inputs, shirg_v2(0.5))
    assert all(torch.equal(inputs[name], value) for name, value in before.items())
    assert not pruned["mm_encoder_outputs"]["image"].pooler_output[0].requires_grad


def test_a_model_in_half_precision_stays_so():
    model = LLAVA.build(LLAVA.config()).eval().to(torch.bfloat16)
    pruned = prune(
        model, LLAVA.prompts([0]) | {"pixel_values": LLAVA.prompts([0])["pixel_values"].bfloat16()}, shirg_v2(9)
    )
    assert pruned["mm_encoder_outputs"]["image"].pooler_output[0].dtype == torch.bfloat16
    assert model.generate(**pruned, max_new_tokens=2).shape[1] == pruned["input_ids"].shape[1] + 2


def test_merged_tokens_need_packed_positions_and_no_deeper_layers():
    model, inputs, merge = LLAVA.model(), LLAVA.prompts([0]), get_selector("tome", budget=16)
    assert prune(model, inputs, merge, positions="packed").selections[0].indices.shape == (1, 16)
    with pytest.raises(ValueError, match=r"merges tokens.*no original positions.*packed"):
        prune(model, inputs, merge)
    with pytest.raises(ValueError, match=r"merges tokens.*deeper layers"):
        prune(QWEN3.model(), QWEN3.prompts([0]), get_selector("tome", budget=6), positions="packed")


def changed(**changes):
    return lambda inputs: {name: value for name, value in {**inputs, **changes}.items() if value is not None}


def doubled(inputs):
    return inputs | {"pixel_values": inputs["pixel_values"].repeat(2, 1, 1, 1)}


def one_placeholder_less(inputs):
    ids = inputs["input_ids"].clone()
    ids[ids == IMAGE] = torch.tensor([40, *[IMAGE] * 63])
    return inputs | {"input_ids": ids}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            changed(input_ids=torch.tensor([[1, 40, 41]]), attention_mask=None),
            "no prompt has an image placeholder .id 99.",
        ),
        (changed(pixel_values=None), "hold no pixel_values"),
        (doubled, "the images give 128 features, the prompts hold 64 image placeholders"),
        (one_placeholder_less, "the images give 64 features, the prompts hold 63 image placeholders"),
        (changed(mm_encoder_outputs={"image": 1}), "encoded already"),
        (changed(pixel_values_videos=torch.zeros(1)), "videos are not pruned.*pixel_values_videos"),
        (changed(input_ids=None), r"input_ids \[B, L\], got NoneType"),
        (
            changed(attention_mask=torch.ones(1, 1, 3, 3)),
            r"attention_mask must be \[B, L\] = \[1, 74\], got \[1, 1, 3, 3\]",
        ),
    ],
)
def test_bad_inputs_are_named(change, message):
    inputs = LLAVA.prompts([0], words=[WORDS[1]])
    with pytest.raises(ValueError, match=message):
        prune(LLAVA.model(), change(inputs), shirg_v2(0.25))


def test_an_image_belongs_to_one_prompt():
    inputs = LLAVA.prompts([0], [0])
    ids = inputs["input_ids"]
    row, column = (ids == IMAGE).nonzero()[0].tolist()
    ids[row, column], ids[1, 1] = 40, IMAGE
    with pytest.raises(ValueError, match="image 0 has 64 features, which prompt 0 has no placeholders for"):
        prune(LLAVA.model(), inputs, shirg_v3(4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positions": "mrope"}, "positions must be one of original, packed, got 'mrope'"),
        ({"question": "What is this?"}, "question must be 'auto', token ids or None"),
        ({"question": [[40], [41]]}, "1 prompts need as many questions, got 2"),
        ({"question": [40, 100]}, r"question ids must be in \[0, 100\), got \[40, 100\]"),
        ({"question": None}, "SHIRG-v2 scores by text relevance and needs `text`"),
        ({"question": []}, "SHIRG-v2 scores by text relevance and needs `text`"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        prune(LLAVA.model(), LLAVA.prompts([0]), shirg_v2(0.25), **options)


def test_text_is_not_missed_where_none_is_wanted():
    assert prune(LLAVA.model(), LLAVA.prompts([0]), shirg_v2(8, text_weight=0), question=None).selections


def model_with(**changes):
    """A stand-in for a model without something of the convention."""
    model = LLAVA.model()
    home = SimpleNamespace(config=SimpleNamespace(**{"image_token_id": IMAGE, **changes.pop("config", {})}))
    home.get_image_features = model.model.get_image_features
    return SimpleNamespace(**{"base_model": home, "forward": model.forward, "config": model.config} | changes)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (model_with(base_model=None), "no get_image_features"),
        (model_with(forward=lambda input_ids: input_ids), "forward takes no mm_encoder_outputs"),
        (model_with(config={"qformer_config": {}}), "resamples its images .config.qformer_config."),
        (model_with(config={"image_token_id": None}), "no image_token_id"),
    ],
)
def test_a_model_without_the_convention_is_told_what_is_missing(model, message):
    with pytest.raises(ValueError, match=message):
        prune(model, LLAVA.prompts([0]), shirg_v3(4))


def test_rows_that_make_no_grid_are_named():
    from shirg_core.hf.geometry import _grids

    with pytest.raises(ValueError, match="15 features of 56 × 56 pixels make no grid"):
        _grids(torch.zeros(1, 3, 56, 56), None, [torch.zeros(15, 8)], None, cell_edges)
    with pytest.raises(ValueError, match="2 images have 15 features together"):
        _grids(torch.zeros(2, 3, 56, 56), None, [torch.zeros(15, 8)], None, cell_edges)
    with pytest.raises(ValueError, match=r"pixel_values must be .* got \[3, 4\]"):
        _grids(torch.zeros(3, 4), None, [torch.zeros(4, 8)], None, cell_edges)
