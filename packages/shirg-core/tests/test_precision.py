"""Autocast changes no score, no choice and no summary."""

import pytest
import torch

from shirg_core import ViewLayout, shirg_v2, shirg_v3
from shirg_core.baselines import BASELINES, FIXED_COUNT
from shirg_core.precision import without_autocast

LAYOUT = ViewLayout.single(9, 11)
SELECTORS = {
    "v2": shirg_v2(20),
    "v3": shirg_v3(20),
    "v3-mean": shirg_v3(20, attention_method="mean"),
    "v3-some": shirg_v3(20, attention_queries=10),
    **{name: build() if name in FIXED_COUNT else build(20) for name, build in BASELINES.items()},
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


def test_without_autocast_keeps_name_and_float32():
    @without_autocast
    def square(x):
        return x @ x.T

    x = torch.rand(3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (x @ x.T).dtype == torch.bfloat16
        assert square(x).dtype == torch.float32
    assert square.__name__ == "square"
