"""Every kernel under Triton's interpreter, on small odd shapes: `nox -s "tests(kernels)"`.

The interpreter must be switched on (`TRITON_INTERPRET=1`) before Triton is imported, so these tests need processes of
their own and are not collected with the others.
"""

import os
from functools import partial

import pytest
import torch

from shirg_core import ViewLayout, shirg_v2, shirg_v3, shirg_v4
from shirg_core.kernels.geometry import geometry
from shirg_core.precision import default_dtype
from shirg_core.scores import combine, distinctness, minmax, saturate
from shirg_core.scores.distinctness_kernel import count_copies
from shirg_core.selection.rank_launch import Component, Components, rank

from .kernel_cases import CASES, LAYOUTS
from .kernel_parity import NEAR, Case, check
from .strategies import DTYPES, make_features

CPU = torch.device("cpu")
assert len(CASES) >= 200
assert sum(case.batch for case in CASES if case.layout.n_tokens < 100) >= 200
pytestmark = pytest.mark.usefixtures("poisoned_memory")
assert os.environ.get("TRITON_INTERPRET") == "1", "run with TRITON_INTERPRET=1"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_parity(case):
    check(case, CPU, truth=case.layout.n_tokens < 100)


@pytest.mark.parametrize("place", [3, 6, 8, 12])
def test_equal_components_give_equal_scores_bit_for_bit(place):
    layout, k = LAYOUTS[place]
    g = torch.Generator().manual_seed(place)
    weighted = [(w, torch.rand(2, layout.n_tokens, generator=g)) for w in (0.6, 0.25, 0.15, 0.7, 0.3)]
    first, a, b, c, d = (Component(*pair) for pair in weighted)
    given = Components(attention=first, view_a=a, view_b=b, image_a=c, image_b=d)
    groups = ("image", "view", "view", "image", "image")
    scaled = [(w, minmax(x, layout, group)) for (w, x), group in zip(weighted, groups, strict=True)]
    ranking = rank(given, geometry(layout, CPU), layout, k, batch=2)
    assert torch.equal(ranking.scores, combine(scaled, weighted[0][1], layout))


@pytest.mark.parametrize("place", [3, 6, 8, 12])
def test_saturated_components_give_equal_scores_bit_for_bit(place):
    layout, k = LAYOUTS[place]
    g = torch.Generator().manual_seed(place)
    weighted = [(w, torch.rand(2, layout.n_tokens, generator=g) - 0.1) for w in (0.5, 0.5, 4.0, 1.0, 2.0)]
    attention, gradient, evidence, edges, distinct = (Component(*pair) for pair in weighted)
    given = Components(attention, view_a=gradient, ready_a=evidence, image_b=edges, ready_b=distinct)
    groups = ("image", "view", None, "image", None)
    scaled = [(w, saturate(x, layout, of) if of else x) for (w, x), of in zip(weighted, groups, strict=True)]
    ranking = rank(given, geometry(layout, CPU), layout, k, saturate=True, batch=2)
    assert torch.equal(ranking.scores, combine(scaled, weighted[0][1], layout))


def test_copies_of_a_token_are_equally_distinct():
    tokens = torch.randn(1, 200, 24, generator=torch.Generator().manual_seed(1))
    tokens[0, 131] = tokens[0, 7]
    tokens[0, 150:] = tokens[0, 149]
    layout = ViewLayout.single(10, 20)
    found = distinctness(tokens, layout, count=count_copies)[0]
    assert found[7] == found[131]
    assert found[149:].unique().numel() == 1
    torch.testing.assert_close(found, distinctness(tokens, layout)[0], atol=2**-20, rtol=0)


@pytest.mark.parametrize("kind", ["channel+300", "direction+2000", "blank+80"])
def test_attention_alone_agrees_where_tokens_share_a_direction_or_are_copies(kind):
    layout, x = ViewLayout.single(12, 12), make_features(kind, 1, 144, 64, 3).bfloat16()
    selector = shirg_v3(40, attention_weight=1.0, magnitude_weight=0.0, gradient_weight=0.0, coverage="none")
    ours, reference = (selector(x, layout, impl=impl).scores for impl in ("triton", "reference"))
    assert (ours - reference).abs().max() <= NEAR


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("build", [shirg_v2, shirg_v3, shirg_v4, partial(shirg_v3, coverage="clusters")])
def test_the_default_dtype_decides_nothing(build, dtype):
    layout, k = LAYOUTS[3]
    inputs = {
        "text": torch.randn(2, 5, 24, dtype=torch.float32),
        "edges": torch.rand(2, layout.n_tokens, dtype=torch.float32),
    }
    features = torch.randn(2, layout.n_tokens, 24, dtype=torch.float32)
    plain = build(k)(features, layout, impl="triton", **inputs)
    with default_dtype(dtype):
        other = build(k)(features, layout, impl="triton", **inputs)
    assert torch.equal(other.scores, plain.scores)
    assert torch.equal(other.tokens, plain.tokens)
    assert (other.scores.dtype, other.tokens.dtype) == (torch.float32, torch.float32)


def test_a_kept_tokens_gradient_is_copied_whatever_its_dtype():
    layout, k = LAYOUTS[3]
    for dtype in (*DTYPES, torch.float64):
        x, _ = Case(shirg_v3, layout, k, dtype, batch=2).inputs(CPU)
        chosen = shirg_v3(k)(x.requires_grad_(), layout, impl="triton")
        given = torch.randn(chosen.kept.shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
        (grad,) = torch.autograd.grad(chosen.tokens, x, torch.cat([given, torch.ones_like(chosen.summary)], dim=1))
        assert torch.equal(chosen.gather(grad), given)
