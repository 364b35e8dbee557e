"""The kernels against the reference on a real GPU: the full shape grid, gradients included."""

import pytest
import torch

from shirg_core import View, ViewLayout, shirg_v2, shirg_v3, shirg_v4

from ..kernel_parity import Case, check

pytest.importorskip("triton", reason="Triton is not installed on this platform")
from shirg_core.kernels.geometry import geometry
from shirg_core.scores.attention_kernel import deviation_parts
from shirg_core.scores.directions_kernel import new_points
from shirg_core.scores.statistics_kernel import token_statistics

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
DTYPES = (torch.bfloat16, torch.float16, torch.float32)
PADDED = View(27, 27, valid=torch.arange(729).view(27, 27) // 27 < 20)
LAYOUTS = {
    "v3": (ViewLayout.single(48, 48), 768),
    "v2": (ViewLayout.anyres(2, 2, 27), 1024),
    "wide": (ViewLayout.anyres(1, 3, 27), 512),
    "padded": (ViewLayout(views=[View(27, 27), PADDED, PADDED]), 501),
    "pinned": (ViewLayout(views=[View(14, 14, pinned=True), View(31, 29)]), 333),
    "long": (ViewLayout(views=[View(96, 96), View(5, 3)]), 2000),
    "row": (ViewLayout.single(1, 300), 77),
    "column": (ViewLayout.single(257, 1), 100),
    "one": (ViewLayout.single(1, 1), 1),
    "odd": (ViewLayout.single(7, 13), 90),
}
SHAPES = [(1, 1152), (3, 70)]
CASES = [
    Case(method, *LAYOUTS[name], dtype, kind, batch=batch, width=width)
    for name in LAYOUTS
    for batch, width in SHAPES
    for dtype in DTYPES
    for method in (shirg_v3, shirg_v2)
    for kind in (("normal", "duplicated") if name not in ("one", "row", "column", "wide") else ("normal",))
]
OPTIONS = [
    Case(method, *LAYOUTS[name], dtype, knobs=knobs, width=128)
    for method, knobs in [
        (shirg_v3, {"coverage": "clusters"}),
        (shirg_v3, {"magnitude_weight": 3000.0}),
        (shirg_v2, {"coverage": "cells"}),
        (shirg_v2, {"alpha": 1.0, "beta": 0.0}),
        (shirg_v4, {}),
        (shirg_v4, {"coverage": "clusters", "summary": "none"}),
    ]
    for name in ("v2", "padded")
    for dtype in DTYPES
]
assert len(CASES + OPTIONS) >= 200


@pytest.fixture(autouse=True, scope="module")
def poisoned_memory():
    """`torch.empty` is filled with NaN, so that an element that no kernel wrote shows."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(before)


@pytest.mark.filterwarnings("ignore:.*[Dd]eterministic")
@pytest.mark.parametrize("case", CASES + OPTIONS, ids=str)
def test_parity(case):
    check(case, torch.device("cuda"), truth=case.layout.n_tokens <= 100)


def test_float32_is_not_computed_in_tf32():
    """TF32 keeps 10 bits of the operands: a cosine would be off by 1e-3, not by 1e-6."""
    case = Case(shirg_v3, *LAYOUTS["odd"], torch.float32, width=512, knobs={"gradient_weight": 0.0})
    x, _ = case.inputs(torch.device("cuda"))
    unit = torch.nn.functional.normalize(x[0].double(), dim=-1)
    exact = 91 * torch.softmax(unit @ unit.T / 0.1, dim=1).mean(0) - 1
    layout, points = LAYOUTS["odd"][0], new_points(x, 91)
    token_statistics(x, geometry(layout, x.device), points=points, temperature=0.1)
    assert (deviation_parts(points)[0].sum(0) - exact).abs().max() < 2e-5 * exact.abs().max()


def test_runs_are_bit_identical():
    x, more = Case(shirg_v3, *LAYOUTS["v3"], torch.bfloat16, width=1152).inputs(torch.device("cuda"))
    first, *others = (shirg_v3(768)(x, LAYOUTS["v3"][0], impl="triton", **more) for _ in range(5))
    for other in others:
        assert torch.equal(first.scores, other.scores)
        assert torch.equal(first.tokens, other.tokens)
