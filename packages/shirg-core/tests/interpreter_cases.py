"""Every kernel under Triton's interpreter, on small odd shapes. Run by `test_kernels_interpreter.py`.

The interpreter must be switched on before Triton is imported, so these tests need a process of their own and are not
collected with the others.
"""

import itertools

import pytest
import torch

from shirg_core import View, ViewLayout, shirg_v2, shirg_v3
from shirg_core.kernels.geometry import geometry
from shirg_core.kernels.ranking import Component, Components, rank
from shirg_core.scores import combine, minmax

from .kernel_parity import Case, Tally, check
from .strategies import DTYPES

CPU = torch.device("cpu")
TALLY = Tally()


def holes(h, w, seed, share=0.25):
    valid = torch.rand(h, w, generator=torch.Generator().manual_seed(seed)) > share
    valid[0, 0] = True
    return valid


def border(h, w, rows, cols):
    valid = torch.zeros(h, w, dtype=torch.bool)
    valid[rows : h - rows, cols : w - cols] = True
    return valid


LAYOUTS = [
    (ViewLayout.single(1, 1), 1),
    (ViewLayout.single(1, 13), 5),
    (ViewLayout.single(17, 1), 8),
    (ViewLayout.single(5, 7), 11),
    (ViewLayout.single(8, 8), 63),
    (ViewLayout.single(4, 9), 36),
    (ViewLayout.anyres(2, 2, 4), 30),
    (ViewLayout.anyres(1, 3, 3), 13),
    (ViewLayout(views=[View(6, 5, valid=holes(6, 5, 0)), View(3, 8)]), 25),
    (ViewLayout(views=[View(6, 6, valid=border(6, 6, 1, 0)), View(5, 4, valid=border(5, 4, 0, 1))]), 14),
    (ViewLayout(views=[View(3, 3, pinned=True), View(6, 7)]), 24),
    (ViewLayout(views=[View(2, 3, pinned=True, valid=holes(2, 3, 4)), View(5, 5, valid=holes(5, 5, 5, 0.1))]), 21),
    (ViewLayout(views=[View(2, 2, valid=border(2, 2, 1, 1)), View(4, 6), View(1, 9), View(7, 2)]), 22),
]
LARGER = [(ViewLayout.single(13, 15), 60), (ViewLayout(views=[View(11, 9, valid=holes(11, 9, 6)), View(9, 11)]), 50)]

BASIC = [
    Case(method, layout, k, dtype, kind, batch=1 + (place % 2), width=(24, 17, 64)[place % 3])
    for place, (layout, k) in enumerate(LAYOUTS)
    for dtype, method, kind in itertools.product(DTYPES, (shirg_v3, shirg_v2), ("normal", "duplicated"))
]
KNOBS = [
    (shirg_v3, {"coverage": "clusters"}),
    (shirg_v3, {"coverage": "none", "summary": "mean"}),
    (shirg_v3, {"attention_queries": 7}),
    (shirg_v3, {"attention_method": "mean"}),
    (shirg_v3, {"attention_weight": 0.0, "coverage_share": 1.0}),
    (shirg_v3, {"magnitude_weight": 3000.0, "attention_weight": 700.0}),
    (shirg_v3, {"temperature": 0.01, "summary": "none"}),
    (shirg_v2, {"coverage": "cells"}),
    (shirg_v2, {"coverage": "none", "beta": 0.0}),
    (shirg_v2, {"alpha": 1.0, "coverage_share": 0.0}),
    (shirg_v2, {"alpha": 0.0, "summary": "none"}),
]
OPTIONS = [
    Case(method, *LAYOUTS[(3, 8, 10)[place % 3]], dtype, "normal", batch=2, knobs=knobs)
    for place, (method, knobs) in enumerate(KNOBS)
    for dtype in DTYPES
]
OTHERS = [
    *(Case(m, *LAYOUTS[3], torch.float32, kind) for m in (shirg_v3, shirg_v2) for kind in ("lattice", "constant")),
    *(Case(m, *LAYOUTS[6], dtype, "lattice", width=96) for m in (shirg_v3, shirg_v2) for dtype in DTYPES),
    *(Case(shirg_v3, *LAYOUTS[place], torch.float32, given_attention=True) for place in (3, 8)),
    *(Case(shirg_v2, *LAYOUTS[8], d, knobs={"summary": "attention"}, given_attention=True) for d in DTYPES),
    *(Case(m, *LAYOUTS[8], torch.float16, strided=True) for m in (shirg_v3, shirg_v2)),
    Case(shirg_v3, *LAYOUTS[5], torch.float64),
    *(Case(shirg_v3, *LAYOUTS[6], d, "lattice", knobs={"temperature": 0.005}) for d in DTYPES),
    *(Case(shirg_v3, *LAYOUTS[6], d, "lattice", knobs={"attention_queries": 9}) for d in DTYPES),
    *(Case(m, *larger, dtype, width=40) for m in (shirg_v3, shirg_v2) for larger in LARGER for dtype in DTYPES),
]
CASES = BASIC + OPTIONS + OTHERS


@pytest.fixture(autouse=True, scope="module")
def poisoned_memory():
    """`torch.empty` is filled with NaN, so that an element that no kernel wrote shows."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_parity(case):
    check(case, CPU, TALLY, truth=case.layout.n_tokens < 100)


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


def test_a_kept_tokens_gradient_is_copied_whatever_its_dtype():
    layout, k = LAYOUTS[3]
    for dtype in (*DTYPES, torch.float64):
        x, _ = Case(shirg_v3, layout, k, dtype, batch=2).inputs(CPU)
        chosen = shirg_v3(k)(x.requires_grad_(), layout, impl="triton")
        given = torch.randn(chosen.kept.shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
        (grad,) = torch.autograd.grad(chosen.tokens, x, torch.cat([given, torch.ones_like(chosen.summary)], dim=1))
        assert torch.equal(chosen.gather(grad), given)


def test_at_least_two_hundred_cases_were_compared(record_testsuite_property):
    assert TALLY.cases == len(CASES) >= 200
    assert TALLY.exact_images >= 200
    assert TALLY.different <= 0.01 * TALLY.kept
    for name, count in vars(TALLY).items():
        record_testsuite_property(name, count)
