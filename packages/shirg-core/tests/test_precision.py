"""Neither autocast nor the default dtype changes a score, a choice or a summary."""

import pytest
import torch
from PIL import Image

from shirg_core import ShirgV2, ShirgV3, View, ViewLayout, shirg_v2, shirg_v3
from shirg_core.images.pixels import pixel_features
from shirg_core.images.views import anyres_views
from shirg_core.methods import METHODS
from shirg_core.precision import default_dtype, without_autocast
from shirg_core.scores.edges import layout_edges

LAYOUT = ViewLayout.single(9, 11)
SELECTORS = {
    "v2": shirg_v2(20),
    "v3": shirg_v3(20),
    **{
        name: method.build(**method.accepted(budget=20))
        for name, method in METHODS.items()
        if method.selector_type not in (None, ShirgV2, ShirgV3) and not method.tower_attention
    },
}


@pytest.mark.parametrize("name", SELECTORS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_a_selector_gives_the_same_inside_and_outside_of_autocast(name, dtype):
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(1, LAYOUT.n_tokens, 16, generator=draw)
    inputs = {"text": torch.randn(1, 5, 16, generator=draw), "edges": torch.rand(1, LAYOUT.n_tokens, generator=draw)}
    plain = SELECTORS[name](features, LAYOUT, **inputs)
    with torch.autocast("cpu", dtype=dtype):
        cast = SELECTORS[name](features, LAYOUT, **inputs)
        assert torch.is_autocast_enabled("cpu")
    assert torch.equal(cast.scores, plain.scores)
    assert torch.equal(cast.indices, plain.indices)
    assert torch.equal(cast.tokens, plain.tokens)


PADDED = ViewLayout(views=(View(5, 5), View(9, 11, valid=tuple(i % 11 < 8 for i in range(99)))))


@pytest.mark.parametrize("name", SELECTORS)
@pytest.mark.parametrize("layout", [LAYOUT, PADDED], ids=["one-view", "padded"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=["bf16", "fp64"])
def test_a_selector_gives_the_same_under_every_default_dtype(name, layout, dtype):
    draw, given = torch.Generator().manual_seed(0), {"dtype": torch.float32}
    n = layout.n_tokens
    features = torch.randn(2, n, 16, generator=draw, **given)
    features[:, 7] = 0
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    inputs = {
        "text": torch.randn(2, 5, 16, generator=draw, **given),
        "text_mask": mask,
        "edges": torch.rand(2, n, generator=draw, **given),
    }
    plain = SELECTORS[name](features, layout, **inputs)
    with default_dtype(dtype):
        other = SELECTORS[name](features, layout, **inputs)
    for a, b in ((other.scores, plain.scores), (other.indices, plain.indices), (other.tokens, plain.tokens)):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    assert torch.equal(other.mask, plain.mask)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=["bf16", "fp64"])
def test_pixel_features_are_the_same_under_every_default_dtype(dtype):
    views = anyres_views(Image.radial_gradient("L").crop((0, 0, 200, 90)), side=6)
    plain = pixel_features(views), layout_edges(views.pixels, views.layout)
    with default_dtype(dtype):
        again = anyres_views(Image.radial_gradient("L").crop((0, 0, 200, 90)), side=6)
        other = pixel_features(again), layout_edges(again.pixels, again.layout)
    for a, b in zip(other, plain, strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)


def test_without_autocast_keeps_name_and_float32():
    @without_autocast
    def square(x):
        return x @ x.T

    x = torch.rand(3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (x @ x.T).dtype == torch.bfloat16
        assert square(x).dtype == torch.float32
    assert square.__name__ == "square"
