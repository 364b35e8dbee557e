from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image

from shirg_core import ShirgV3, get_selector, shirg_v2, shirg_v3
from shirg_core.baselines import Deduplication, TokenMerging
from shirg_core.scores.edges import edge_density
from shirg_core.selection import Selection, gather_tokens
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.testing import tiny_lavida
from shirg_lavida.vision.options import VisionOptions
from shirg_lavida.vision.reading_order import reading_order
from shirg_lavida.vision.views import cut_views, normalize, plan_views, to_unit
from shirg_lavida.vision.visual_prefix import EncodedImages, encode, visual_prefix

NO_TEXT = torch.zeros(0, 64)


@dataclass
class Spy:
    """A selector that keeps every `stride`-th selectable token, pinned ones too, and remembers what it was shown."""

    stride: int = 3
    summary: bool = False
    seen: list = field(default_factory=list)

    def __call__(self, features, layout, *, text=None, text_mask=None, edges=None, attention=None):
        self.seen.append(
            {
                "features": features,
                "layout": layout,
                "text": text,
                "text_mask": text_mask,
                "edges": edges,
                "attention": attention,
            }
        )
        chosen = torch.zeros(layout.n_tokens, dtype=torch.bool)
        chosen[layout.valid_mask().nonzero().squeeze(1)[:: self.stride]] = True
        index = (chosen | layout.pinned_mask()).nonzero().squeeze(1).expand(len(features), -1)
        zeros = torch.zeros(features.shape[:2])
        extra = features.mean(dim=1, keepdim=True) if self.summary else None
        return Selection(index, zeros, zeros.long(), gather_tokens(features, index), extra)


@pytest.fixture(scope="module")
def model():
    return tiny_lavida(0, side=6, patch_size=4)


def picture(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def run(model, images, text=None, **options):
    with torch.no_grad():
        return visual_prefix(model, images, VisionOptions(**options), text or [NO_TEXT] * len(images))


def by_hand(model, image, views, *, selecting):
    """Projected tokens of all views, straight through the parts."""
    plan = plan_views(model.config, image.size, views, selecting=selecting)
    pixels = to_unit(cut_views(image, plan))
    return plan, pixels, model.projector(model.tower(normalize(pixels)).features)


@pytest.mark.parametrize("size", [(40, 40), (60, 40), (30, 50), (120, 17), (17, 120), (1, 1)])
def test_pooled_baseline_counts(model, size):
    image = picture(*size)
    plan = plan_views(model.config, size, "anyres", selecting=False)
    (entry,) = run(model, [image])
    lines = len(reading_order(plan, "row").newline_place)
    assert entry.embeddings.shape == (plan.layout.n_selectable + lines, 64)
    assert entry.selection is None
    assert torch.equal(entry.places, torch.arange(len(entry.embeddings)))


def test_selector_sees_unpooled_features_and_places_are_kept(model):
    image, spy = picture(60, 40), Spy()
    (entry,) = run(model, [image], selector=spy)
    plan, pixels, projected = by_hand(model, image, "anyres", selecting=True)
    (seen,) = spy.seen
    assert seen["layout"] == plan.layout == entry.layout
    torch.testing.assert_close(seen["features"][0], projected.flatten(0, 1))
    expected = torch.cat([edge_density(view[None, :, :24, :24], 6, 6)[0] for view in pixels])
    torch.testing.assert_close(seen["edges"][0], expected)
    assert seen["text"] is seen["attention"] is None
    order = reading_order(plan, "row")
    kept = entry.selection.indices[0]
    slots = torch.searchsorted(entry.places, order.place[kept])
    assert torch.equal(entry.places[slots], order.place[kept])
    torch.testing.assert_close(entry.embeddings[slots], projected.flatten(0, 1)[kept])
    newlines = torch.isin(entry.places, order.newline_place)
    assert torch.equal(entry.embeddings[newlines], model.image_newline.expand(int(newlines.sum()), -1))
    assert len(entry.places) == len(kept) + newlines.sum()


def test_keeping_everything_equals_no_selection_at_full_resolution(model):
    image = picture(60, 40)
    (full,) = run(model, [image], views="anyres_full")
    (kept,) = run(model, [image], selector=Spy(stride=1))
    assert torch.equal(full.embeddings, kept.embeddings)
    assert full.selection is None


def test_images_of_one_layout_are_one_batch_and_order_is_kept(model):
    images = [picture(40, 40, 1), picture(60, 40, 2), picture(44, 44, 3), picture(1, 50, 4)]
    text = [torch.randn(n, 64) for n in (2, 4, 3, 1)]
    spy = Spy(summary=True)
    together = run(model, images, text, selector=spy)
    assert [len(s["features"]) for s in spy.seen] == [2, 1, 1]
    first = spy.seen[0]
    assert first["text"].shape == (2, 3, 64)
    assert first["text_mask"].tolist() == [[True, True, False], [True, True, True]]
    assert torch.equal(first["text"][0, :2], text[0])
    assert torch.equal(first["text"][1], text[2])
    for image, own, entry in zip(images, text, together, strict=True):
        (alone,) = run(model, [image], [own], selector=Spy(summary=True))
        torch.testing.assert_close(entry.embeddings, alone.embeddings)
        assert torch.equal(entry.places, alone.places)
        assert entry.selection.indices.shape[0] == entry.selection.summary.shape[0] == 1


def test_pooled_base_keeps_the_whole_base_view(model):
    image, spy = picture(40, 40), Spy()
    (entry,) = run(model, [image], selector=spy, views="pooled_base")
    _, _, pooled = by_hand(model, image, "anyres", selecting=False)
    assert [(v.h, v.w) for v in entry.layout.views] == [(3, 3)] + [(6, 6)] * 4
    grid = pooled[:1].reshape(1, 6, 6, 64).permute(0, 3, 1, 2)
    base = torch.nn.functional.interpolate(grid, size=(3, 3), mode="bilinear").flatten(2).transpose(1, 2)[0]
    torch.testing.assert_close(entry.embeddings[:9], base)
    assert spy.seen[0]["edges"].shape == (1, 9 + 4 * 36)


def test_single_view(model):
    spy = Spy()
    (entry,) = run(model, [picture(33, 70)], selector=spy, views="single", newline="none")
    side = model.config.vision.single_px // 4
    assert spy.seen[0]["features"].shape == (1, side * side, 64)
    assert torch.equal(entry.embeddings, spy.seen[0]["features"][0, ::3])


def test_tower_attention_reaches_the_selector(model):
    image, spy = picture(40, 40), Spy()
    run(model, [image], selector=spy, views="pooled_base", tower_attention=True)
    plan = plan_views(model.config, image.size, "pooled_base", selecting=True)
    received = model.tower(normalize(to_unit(cut_views(image, plan))), attention=True).attention
    attention = spy.seen[0]["attention"]
    assert attention.shape == (1, 9 + 4 * 36)
    torch.testing.assert_close(attention[0, 9:], received[1:].flatten())


def test_attention_of_another_layer_reaches_the_selector(model):
    image, spy = picture(40, 40), Spy()
    options = {"selector": spy, "views": "single384", "tower_attention": True}
    for layer in (0, -2):
        run(model, [image], **options, attention_layer=layer)
    plan = plan_views(model.config, image.size, "single384", selecting=True)
    pixels = normalize(to_unit(cut_views(image, plan)))
    first, last = (model.tower(pixels, attention=True, layer=layer).attention for layer in (0, -2))
    assert not torch.equal(first, last)
    assert [torch.equal(seen["attention"], own) for seen, own in zip(spy.seen, (first, last), strict=True)] == [
        True
    ] * 2
    with pytest.raises(ValueError, match=r"attention_layer must be in .*, got -1$"):
        run(model, [image], **options, attention_layer=-1)


def test_v3_by_the_towers_attention_is_never_v3(model):
    selector = get_selector("v3-tower", budget=9)
    (entry,) = run(model, [picture(40, 40)], selector=selector, tower_attention=True)
    (cosines,) = run(model, [picture(40, 40)], selector=shirg_v3(budget=9))
    assert not torch.equal(entry.selection.scores, cosines.selection.scores)
    with pytest.raises(ValueError, match=r"needs `attention` \[B, N\]: give tower_attention=True"):
        run(model, [picture(40, 40)], selector=selector)


def test_selecting_on_the_tower_projects_only_what_is_kept(model):
    image, spy = picture(60, 40), Spy(summary=True)
    (entry,) = run(model, [image], [torch.ones(2, 64)], selector=spy, select_on="tower", newline="none")
    assert spy.seen[0]["features"].shape[-1] == 32
    assert spy.seen[0]["text"] is None
    expected = model.projector(entry.selection.tokens)[0]
    torch.testing.assert_close(entry.embeddings, expected)


def test_selecting_on_pixels_shows_each_tokens_patch_and_keeps_the_tokens(model):
    image, spy = picture(60, 40), Spy()
    (entry,) = run(
        model, [image], [torch.ones(2, 64)], selector=spy, views="single384", select_on="pixels", newline="none"
    )
    cut = to_unit(cut_views(image, plan_views(model.config, image.size, "single384", selecting=True)))
    patches = spy.seen[0]["features"]
    assert patches.shape == (1, 36, 48)
    # Token 8 is in row 1, column 2 of patches of 4 pixels.
    torch.testing.assert_close(patches[0, 8], cut[0, :, 4:8, 8:12].permute(1, 2, 0).flatten())
    assert spy.seen[0]["text"] is None
    (every,) = run(model, [image], views="single384", newline="none")
    assert torch.equal(entry.embeddings, every.embeddings[::3])
    assert torch.equal(entry.selection.kept[0], entry.embeddings)


@pytest.mark.parametrize("views", ["anyres", "single", "pooled_base"])
def test_deduplication_of_pixels_on_all_views(model, views):
    blank = Image.new("RGB", (60, 40), "white")
    blank.paste(picture(20, 20), (20, 10))
    selector = Deduplication(30)
    (entry,) = run(model, [blank], selector=selector, views=views, select_on="pixels", newline="none")
    assert entry.embeddings.shape == (30, 64)
    (features,) = run(model, [blank], selector=selector, views=views, newline="none")
    assert not torch.equal(entry.selection.indices, features.selection.indices)


@pytest.mark.parametrize("selector", [Spy(summary=True), TokenMerging(20)])
def test_selecting_on_pixels_refuses_new_tokens(model, selector):
    with pytest.raises(ValueError, match="neither merges nor summarises"):
        run(model, [picture(60, 40)], selector=selector, select_on="pixels")


@pytest.mark.parametrize("selector", [shirg_v2(budget=40), shirg_v3(budget=40)])
@pytest.mark.parametrize("views", ["anyres", "single", "pooled_base"])
def test_shirg_plugs_in(model, selector, views):
    (entry,) = run(model, [picture(60, 40)], [torch.randn(5, 64)], selector=selector, views=views, newline="none")
    assert entry.selection.indices.shape == (1, 40)
    assert entry.embeddings.shape == (41, 64)


@pytest.mark.parametrize(
    ("select_on", "cause"), [("projected", "the question has no token"), ("tower", "select_on='tower' passes no text")]
)
def test_text_aware_selector_without_text_is_told_why(model, select_on, cause):
    with pytest.raises(ValueError, match=f"needs `text`.*{cause}"):
        run(model, [picture(40, 40)], selector=shirg_v2(budget=40), select_on=select_on)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (picture(40, 40), "list of Pillow images, got a Image"),
        ("page.png", "list of Pillow images, got 'page.png'"),
        (torch.zeros(3, 40, 40), "list of Pillow images, got a Tensor"),
        (["page.png"], "number 0 is 'page.png'"),
        ([picture(40, 40), torch.zeros(3, 40, 40)], "number 1 is a Tensor"),
    ],
    ids=["one image", "path", "tensor", "list of paths", "mixed"],
)
def test_images_come_as_a_list_of_pillow_images(model, images, message):
    with pytest.raises(ValueError, match=message):
        visual_prefix(model, images, VisionOptions(), [NO_TEXT])


def test_pooler_projector_selects_after_it():
    pooler = tiny_lavida(0, side=6, patch_size=4, mm_projector_type="pooler")
    (entry,) = run(pooler, [picture(40, 40)], selector=shirg_v3(budget=20), newline="none")
    assert entry.layout.n_tokens == 5 * 9
    for options in ({"select_on": "tower"}, {"tower_attention": True}):
        with pytest.raises(ValueError, match="pooler projector"):
            run(pooler, [picture(40, 40)], selector=shirg_v3(budget=20), **options)


def test_gradient_flows_from_entries_to_projector_and_newline():
    trained = tiny_lavida(0, side=6, patch_size=4)
    trained.projector.requires_grad_()
    trained.image_newline.requires_grad_()
    (entry,) = visual_prefix(trained, [picture(40, 40)], VisionOptions(selector=shirg_v3(budget=30)), [NO_TEXT])
    entry.embeddings.sum().backward()
    assert trained.projector[0].weight.grad.abs().sum() > 0
    assert trained.image_newline.grad.abs().sum() > 0


def test_no_images(model):
    assert run(model, []) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"select_on": "patches"}, "projected, tower, pixels"),
        ({"select_on": "pixels"}, "there is no selector"),
        ({"selector": "v3"}, "'v3' cannot choose tokens; expected one that is built"),
        ({"selector": ShirgV3}, "ShirgV3'> cannot choose tokens"),
        ({"selector": lambda budget: shirg_v3(budget)}, r"cannot choose tokens .*shirg_v3\(budget=512\)"),
        ({"select_on": "tower"}, "there is no selector"),
        ({"tower_attention": True}, "there is no selector"),
        ({"select_on": "tower", "selector": Spy(), "views": "pooled_base"}, "pools after"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        VisionOptions(**options)


@pytest.mark.parametrize(
    "options", [{}, {"selector": shirg_v3(budget=9)}, {"selector": shirg_v3(budget=9), "newline": "view"}]
)
@pytest.mark.parametrize("on", ["projected", "tower"])
def test_encoded_images_stand_for_the_images(model, options, on):
    """One run of the tower serves many selections, of images of several layouts at once."""
    if "selector" in options:
        options = {**options, "select_on": on}
    images = [picture(40, 40), picture(60, 40, 1), picture(40, 40, 2)]
    prompt = [1, IMAGE_TOKEN_ID, 2, IMAGE_TOKEN_ID, IMAGE_TOKEN_ID, 3]
    with torch.no_grad():
        encoded = encode(model, images, VisionOptions(**options))
        given = model.embed_prompt(prompt, encoded, **options)
        expected = model.embed_prompt(prompt, images, **options)
    assert torch.equal(given.embeddings, expected.embeddings)
    assert given.layouts == expected.layouts
    for own, other in zip(given.selections, expected.selections, strict=True):
        assert (own is None and other is None) or torch.equal(own.indices, other.indices)


def test_as_many_encoded_images_as_image_tokens(model):
    with torch.no_grad():
        encoded = encode(model, [picture(40, 40)], VisionOptions())
    with pytest.raises(ValueError, match=r"2 image token\(s\).*but 1 image"):
        model.embed_prompt([IMAGE_TOKEN_ID, IMAGE_TOKEN_ID], encoded)


def test_selecting_ready_features_runs_no_tower(model):
    plan = plan_views(model.config, (40, 40), "single384", selecting=True)
    tokens = torch.randn(2, plan.layout.n_tokens, model.image_newline.shape[0])
    pixels = torch.rand(2, 3, plan.px, plan.px, dtype=torch.float32)
    attention = torch.rand(2, plan.layout.n_tokens, dtype=torch.float32)
    options = VisionOptions(shirg_v3(budget=5, summary="none"), "single384", "none")
    with torch.no_grad():
        entries = visual_prefix(model, EncodedImages([plan, plan], tokens, pixels, attention), options)
    for b, entry in enumerate(entries):
        expected = options.selector(tokens[b : b + 1], plan.layout, attention=attention[b : b + 1])
        assert torch.equal(entry.embeddings, expected.kept[0])
