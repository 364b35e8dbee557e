"""Selection on a CPU: both presets and every baseline against one plain float32 N×N cosine product in the same run."""

from __future__ import annotations

import pytest
import torch

from shirg_bench.interleave import interleaved_ratio
from shirg_bench.memory import peak_workspace_bytes
from shirg_core import Selection, Selector, ViewLayout, shirg_v2, shirg_v3, shirg_v4
from shirg_core.clock import Clock
from shirg_core.methods import METHODS, get_selector

WIDTH, TEXT = 1152, 32
V2_LAYOUT, V2_BUDGET = ViewLayout.anyres(2, 2, 27), 1024
V3_LAYOUT, V3_BUDGET = ViewLayout.single(48, 48), 768


def _inputs(n: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "features": torch.randn(1, n, WIDTH, generator=generator),
        "text": torch.randn(1, TEXT, WIDTH, generator=generator),
        "edges": torch.rand(1, n, generator=generator),
        "attention": torch.rand(1, n, generator=generator),
    }


def _cosine(features: torch.Tensor) -> torch.Tensor:
    unit = torch.nn.functional.normalize(features[0], dim=-1)
    return unit @ unit.T


def _two_passes(features: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(features, dim=-1).var(dim=-1)


def _call(selector: Selector, layout: ViewLayout, inputs: dict[str, torch.Tensor]) -> Selection:
    given = dict(inputs)
    return selector(given.pop("features"), layout, **given)


def _assert_promised(selection: Selection, k: int, layout: ViewLayout) -> None:
    assert selection.indices.shape == (1, k)
    assert (selection.indices.diff() > 0).all()
    assert selection.tokens.isfinite().all()
    assert layout.valid_mask()[selection.indices].all()


def test_v2_3645_to_1024(track, benchmark):
    inputs, selector = _inputs(V2_LAYOUT.n_tokens), shirg_v2(budget=V2_BUDGET)
    del inputs["attention"]
    run = lambda: _call(selector, V2_LAYOUT, inputs)  # noqa: E731
    _assert_promised(run(), V2_BUDGET, V2_LAYOUT)
    benchmark.extra_info["peak_workspace_bytes"] = peak_workspace_bytes(run)
    # Reading the features bounds v2, and arithmetic the product: their ratio differs from one CPU to the next.
    track(
        "v2-3645-1024-over-two-passes",
        run,
        lambda: _two_passes(inputs["features"]),
        bar=0.25,
        bar_threads=2,
        bar_reference=lambda: _cosine(inputs["features"]),
    )


def test_v3_2304_to_768(track, benchmark):
    inputs, selector = _inputs(V3_LAYOUT.n_tokens), shirg_v3(budget=V3_BUDGET)
    run = lambda: selector(inputs["features"], V3_LAYOUT)  # noqa: E731
    _assert_promised(run(), V3_BUDGET, V3_LAYOUT)
    peak = benchmark.extra_info["peak_workspace_bytes"] = peak_workspace_bytes(run)
    matrix = 4 * V3_LAYOUT.n_tokens**2
    result = 4 * (V3_BUDGET + 1) * WIDTH
    assert peak - result < 0.9 * matrix
    track("v3-2304-768", run, lambda: _cosine(inputs["features"]), bar=1.5, bar_threads=2)


@pytest.mark.parametrize("method", [shirg_v2, shirg_v3, shirg_v4])
def test_host_time_of_64_to_16(track, method):
    """Where tokens are few, only calls cost: against a hundred additions of one row of numbers."""
    layout, selector = ViewLayout.single(8, 8), method(budget=16)
    generator = torch.Generator().manual_seed(0)
    row = torch.rand(1, 64, generator=generator)
    features, text = torch.randn(1, 64, 64, generator=generator), torch.randn(1, 8, 64, generator=generator)

    def select() -> Selection:
        return selector(features, layout, text=text, edges=row)

    def add() -> None:
        for _ in range(100):
            row + row

    _assert_promised(select(), 16, layout)
    track(f"host-64-16-{method.__name__}-over-100-additions", select, add, pairs=200)


EXACT_K = sorted(
    name for name, m in METHODS.items() if m.selector and m.takes_budget and name not in ("v2", "v3", "v3-tower", "dpp")
)
"""Baselines that keep exactly K; `dpp` is `cdpruner`'s loop again."""
"""Baselines that keep exactly K tokens."""
LIGHT = {"uniform", "random", *(name for name in EXACT_K if name.startswith("top-"))}
"""Those that compare no tokens with each other, and are expected to be faster than SHIRG."""


@pytest.mark.parametrize("name", EXACT_K)
def test_baseline_3645_to_1024(name, benchmark):
    """Each exact-K baseline beside v2; v2 is faster than all that compare tokens."""
    inputs = _inputs(V2_LAYOUT.n_tokens)
    baseline = get_selector(name, budget=V2_BUDGET)
    run = lambda: _call(baseline, V2_LAYOUT, inputs)  # noqa: E731
    _assert_promised(run(), V2_BUDGET, V2_LAYOUT)
    v2 = shirg_v2(budget=V2_BUDGET)
    measured = interleaved_ratio(lambda: _call(v2, V2_LAYOUT, inputs), run, pairs=3, now=Clock(work=True).now)
    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(name=f"v2/{name}", **measured.as_dict())
    if name not in LIGHT:
        assert measured.ratio < 1, f"v2 against {name}: {measured}"


@pytest.mark.parametrize("name", EXACT_K)
def test_baseline_2304_to_768(name, benchmark):
    """Each exact-K baseline beside v3, whose time is that of one N×N product.

    DivPrune needs the product and little else; ToMe, SAINT and CDPruner go over it again round by round.
    """
    inputs = _inputs(V3_LAYOUT.n_tokens)
    baseline = get_selector(name, budget=V3_BUDGET)
    run = lambda: _call(baseline, V3_LAYOUT, inputs)  # noqa: E731
    _assert_promised(run(), V3_BUDGET, V3_LAYOUT)
    v3 = shirg_v3(budget=V3_BUDGET)
    measured = interleaved_ratio(lambda: v3(inputs["features"], V3_LAYOUT), run, pairs=3, now=Clock(work=True).now)
    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(name=f"v3/{name}", **measured.as_dict())
    if name in {"saint", "tome", "cdpruner"}:
        assert measured.ratio < 1, f"v3 against {name}: {measured}"
