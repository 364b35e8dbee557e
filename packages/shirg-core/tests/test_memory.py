"""Workspace: the full-size inputs never cost an N × N matrix, nor copies of the features by the dozen."""

import pytest
import torch

from shirg_core import ViewLayout, shirg_v2, shirg_v3, shirg_v4

from .strategies import generator, make_features


def peak_bytes(run):
    """Most bytes allocated at one moment during `run`, from the allocator's own events."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        held = run()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    del held
    total = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    return peak


def test_the_measure_sees_what_is_allocated_for_a_moment():
    x = torch.ones(512, 512)
    assert peak_bytes(lambda: (x @ x).sum()) == pytest.approx(512 * 512 * 4, rel=0.01)


@pytest.mark.parametrize("width", [64, 1152])
def test_v3_stays_well_below_an_n_by_n_matrix(width):
    layout, n = ViewLayout.single(48, 48), 2304
    x, selector = make_features("normal", 1, n, width, 1), shirg_v3(768)
    selector(x, layout)
    peak = peak_bytes(lambda: selector(x, layout))
    results = 769 * width * 4
    assert peak > results
    assert peak - results < 0.5 * n * n * 4


@pytest.mark.parametrize("width", [64, 1152])
def test_v2_stays_below_a_few_copies_of_the_features(width):
    layout, n = ViewLayout.anyres(2, 2, 27), 3645
    x, selector = make_features("normal", 1, n, width, 1), shirg_v2(1024)
    inputs = {
        "text": torch.randn(1, 16, width, generator=generator(2)),
        "edges": torch.rand(1, n, generator=generator(3)),
    }
    selector(x, layout, **inputs)
    peak = peak_bytes(lambda: selector(x, layout, **inputs))
    assert peak > 1025 * width * 4
    assert peak < 0.5 * n * n * 4
    assert peak < 2 * n * (width + 200) * 4


@pytest.mark.parametrize("build", [shirg_v2, shirg_v4], ids=["v2", "v4"])
def test_features_in_bfloat16_are_never_converted_whole(build):
    layout, n, width = ViewLayout.anyres(2, 2, 27), 3645, 1152
    x, selector = make_features("normal", 1, n, width, 1).bfloat16(), build(256)
    inputs = {
        "text": torch.randn(1, 16, width, generator=generator(2)).bfloat16(),
        "edges": torch.rand(1, n, generator=generator(3)),
    }
    selector(x, layout, **inputs)
    assert peak_bytes(lambda: selector(x, layout, **inputs)) < n * width * 4


def test_a_batch_costs_no_n_by_n_matrix_either():
    layout, n = ViewLayout.single(32, 32), 1024
    x, selector = make_features("normal", 4, n, 32, 1), shirg_v3(100)
    selector(x, layout)
    assert peak_bytes(lambda: selector(x, layout)) < 1.5 * n * n * 4
