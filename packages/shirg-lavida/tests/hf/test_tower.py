"""Attention that towers of transformers compute, observed while they run, beside the maps of eager attention."""

from copy import deepcopy

import pytest
import torch
import transformers as hf
from torch import nn

from shirg_core import get_selector, shirg_v2, shirg_v3
from shirg_core.hf import prune, pruning, tower_attention
from shirg_core.hf.maps import grid_means, split_maps
from shirg_core.layout import ViewLayout

from .families import FAMILIES, OTHERS, SIZES

FAMILY = {family.name: family for family in FAMILIES + OTHERS}
LLAVA, QWEN = FAMILY["llava"], FAMILY["qwen2_5_vl"]
PLAIN = SIZES | {"num_hidden_layers": 3, "image_size": 140, "patch_size": 14}
TOWERS = {
    "siglip": (hf.SiglipVisionModel, hf.SiglipVisionConfig(**PLAIN), 0),
    "clip": (hf.CLIPVisionModel, hf.CLIPVisionConfig(**PLAIN), 1),
    "dinov2": (hf.Dinov2Model, hf.Dinov2Config(**PLAIN), 1),
    "dinov2 with registers": (
        hf.Dinov2WithRegistersModel,
        hf.Dinov2WithRegistersConfig(num_register_tokens=3, **PLAIN),
        4,
    ),
    "dinov3, rotary": (hf.DINOv3ViTModel, hf.DINOv3ViTConfig(num_register_tokens=2, **PLAIN), 3),
    "vit": (hf.ViTModel, hf.ViTConfig(**PLAIN), 1),
}


def built(name, implementation):
    """A tower whose attention is far from flat."""
    kind, config, leading = TOWERS[name]
    torch.manual_seed(0)
    tower = kind._from_config(deepcopy(config), attn_implementation=implementation).eval()
    for weight_name, weight in tower.named_parameters():
        if any(part in weight_name for part in ("q_proj.weight", "k_proj.weight", "query.weight", "key.weight")):
            nn.init.normal_(weight, std=0.5)
    return tower, leading


@pytest.mark.parametrize("layer", [-2, 0])
@pytest.mark.parametrize("name", TOWERS)
def test_what_a_tower_pays_is_the_mean_of_its_eager_maps(name, layer):
    pixels = torch.randn(2, 3, 140, 140, generator=torch.Generator().manual_seed(1))
    eager, leading = built(name, "eager")
    tower, _ = built(name, "sdpa")
    tower.load_state_dict(eager.state_dict())
    with torch.no_grad():
        maps = eager(pixels, output_attentions=True).attentions[layer].mean(dim=1)
        plain = tower(pixels).last_hidden_state
        with tower_attention(tower, layer) as seen:
            assert torch.equal(tower(pixels).last_hidden_state, plain)
    assert maps.std() > 1e-3
    torch.testing.assert_close(seen.received, maps.mean(dim=1)[:, leading:], rtol=1e-5, atol=1e-7)
    assert (seen.cls is None) == (leading == 0)
    if seen.cls is not None:
        torch.testing.assert_close(seen.cls, maps[:, 0, leading:], rtol=1e-5, atol=1e-7)
    # Nothing of it is left behind.
    with torch.no_grad():
        assert torch.equal(tower(pixels).last_hidden_state, plain)
    assert len(seen.calls) == 1
    assert all(block.config is tower.config for block in tower.modules() if hasattr(block, "is_causal"))


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_is_not_there(layer):
    tower, _ = built("dinov2", "sdpa")
    with (
        pytest.raises(ValueError, match=rf"attention_layer must be in \[-3, 0\) or \[0, 3\), got {layer}"),
        tower_attention(tower, layer),
    ):
        pass


def test_a_tower_without_transformers_attention_is_refused():
    tower = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), 2)
    with (
        pytest.raises(ValueError, match=r"not available with TransformerEncoder: .* give the selector attention="),
        tower_attention(tower),
    ):
        pass


def test_before_the_tower_has_run_there_is_nothing():
    with (
        tower_attention(built("vit", "sdpa")[0]) as seen,
        pytest.raises(ValueError, match="the tower did not run"),
    ):
        _ = seen.received


def test_masks_that_cannot_be_read_are_refused():
    tower, _ = built("siglip", "sdpa")
    tower.encoder.layers[1].self_attn.register_forward_pre_hook(
        lambda _, args, given: (args, given | {"attention_mask": object()}), with_kwargs=True
    )
    with (
        tower_attention(tower),
        pytest.raises(ValueError, match=r"with sdpa, whose mask is a object: load .* attn_implementation='sdpa'"),
    ):
        tower(torch.zeros(1, 3, 140, 140))


class Recorder:
    def __init__(self):
        self.attention = []

    def __call__(self, features, layout, **given):
        self.attention.append(given["attention"])
        return shirg_v3(0.5, summary="none")(features, layout)


def recorded(family, inputs, **options):
    recorder = Recorder()
    prune(family.model(), inputs, recorder, positions="packed", **options)
    return recorder.attention


@pytest.mark.parametrize("name", FAMILY)
def test_every_image_of_every_family_gets_its_own(name):
    """One image among others gets what it gets by itself, however the tower attends."""
    family = FAMILY[name]
    options = {"tower_attention": True, "attention_layer": -1}
    together = recorded(family, family.prompts([0, 1], [1]), **options)
    for number, attention in zip((0, 1, 1), together, strict=True):
        (alone,) = recorded(family, family.prompts([number]), **options)
        torch.testing.assert_close(attention / attention.sum(), alone / alone.sum(), rtol=1e-4, atol=1e-7)
        assert attention.shape == alone.shape
        assert attention.std() > 0
    assert recorded(family, family.prompts([0])) == [None]


def test_llavas_attention_is_that_of_the_layer_whose_features_it_takes():
    model, inputs = LLAVA.model(), LLAVA.prompts([0])
    tower = model.model.vision_tower
    eager = type(tower)._from_config(tower.config, attn_implementation="eager").eval()
    eager.load_state_dict(tower.state_dict())
    with torch.no_grad():
        maps = eager(inputs["pixel_values"], output_attentions=True).attentions[-2]
    (attention,) = recorded(LLAVA, inputs, tower_attention=True)
    torch.testing.assert_close(attention, maps.mean(dim=(1, 2))[:, 1:], rtol=1e-5, atol=1e-7)


def test_windows_are_put_back_in_order():
    """Qwen2.5-VL sorts its patches into windows, and its features back: these tell where its patches were."""
    inputs, visual = QWEN.prompts([0, 1]), QWEN.model().model.visual
    hidden = []
    handle = visual.merger.register_forward_pre_hook(lambda _, args: hidden.append(args[0]))
    with torch.no_grad(), tower_attention(visual, -1) as seen:
        features = visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"]).pooler_output
    handle.remove()
    with torch.no_grad():
        sorted_features = visual.merger(hidden[0])
    place = (features[:, None] == sorted_features).all(dim=-1).int().argmax(dim=1)
    assert place.tolist() != sorted(place.tolist())
    by_token = torch.cat(seen.images).unflatten(0, (-1, 4)).mean(dim=1)[place]
    attention = recorded(QWEN, inputs, tower_attention=True, attention_layer=-1)
    torch.testing.assert_close(torch.cat(attention, dim=1)[0], by_token)


def test_a_layer_that_attends_within_windows_is_refused():
    with pytest.raises(ValueError, match=r"layer -2 of Qwen2_5_Vision.* attends within windows: give one of \[1\]"):
        recorded(QWEN, QWEN.prompts([0]), tower_attention=True)


def test_gemma4s_patches_have_places_of_their_own():
    family = FAMILY["gemma4"]
    inputs, tower = family.prompts([1]), family.model().model.vision_tower
    with torch.no_grad(), tower_attention(tower) as seen:
        family.model().model.get_image_features(**family.picture(1), return_dict=True)
    expected = nn.functional.avg_pool2d(seen.images[0][:24].view(1, 6, 4), 2)
    (attention,) = recorded(family, inputs, tower_attention=True)
    torch.testing.assert_close(attention, expected.flatten(1))


def test_crops_of_a_mosaic_lie_where_their_tokens_do():
    """60 × 150 pixels on 2 × 3 crops of 4 × 4 tokens: 168 × 67.2 of them hold the image, five rows of twelve tokens."""
    family = FAMILY["llava_next"]
    with torch.no_grad(), tower_attention(family.model().model.vision_tower) as seen:
        family.model().model.get_image_features(**family.picture(0), return_dict=True)
    base, *crops = seen.received.view(-1, 4, 4)
    (attention,) = recorded(family, family.prompts([0]), tower_attention=True)
    assert torch.equal(attention[0, :16], base.flatten())
    rows = [torch.cat(crops[3 * r : 3 * r + 3], dim=1) for r in range(2)]
    canvas = torch.cat(rows)
    cut = (8 - (attention.shape[1] - 16) // 12) // 2
    assert cut > 0
    torch.testing.assert_close(attention[0, 16:], canvas[cut:-cut].flatten())


def test_v3_by_the_towers_attention():
    selector = get_selector("v3-tower", budget=0.25)
    model, inputs = LLAVA.model(), LLAVA.prompts([0, 1])
    pruned = prune(model, inputs, selector, tower_attention=True)
    maps = recorded(LLAVA, inputs, tower_attention=True)
    features = model.model.get_image_features(inputs["pixel_values"], return_dict=True).pooler_output
    for chosen, rows, attention in zip(pruned.selections, features, maps, strict=True):
        expected = shirg_v3(0.25)(rows[None], ViewLayout.single(8, 8), attention=attention)
        assert torch.equal(chosen.indices, expected.indices)
    with pytest.raises(ValueError, match=r"needs `attention` \[B, N\]: give tower_attention=True"):
        prune(model, inputs, selector)
    seen = []
    with pruning(model, selector, tower_attention=True, on_pruned=seen.append), torch.no_grad():
        model(**inputs)
    assert torch.equal(seen[0].selections[0].indices, pruned.selections[0].indices)


def test_a_tower_under_another_name_is_refused(monkeypatch):
    model, inputs = LLAVA.model(), LLAVA.prompts([0])
    monkeypatch.setattr("shirg_core.hf.maps.TOWERS", ("eyes",))
    with pytest.raises(ValueError, match="not available with LlavaModel: it has none of eyes"):
        prune(model, inputs, shirg_v2(0.5), tower_attention=True)


def test_grids_that_do_not_fit_the_features_are_refused():
    with pytest.raises(ValueError, match="does not fit the features: 30 patches of an image with 4 × 5 features"):
        grid_means(torch.zeros(30), ViewLayout.single(4, 5))
    with pytest.raises(ValueError, match="does not fit the features: it attended over 30 patches, 24 lie behind"):
        split_maps([torch.zeros(30)], [12, 12])
    patches = torch.arange(24.0)
    assert grid_means(patches, ViewLayout.single(2, 3)).tolist() == [[3.5, 5.5, 7.5, 15.5, 17.5, 19.5]]
