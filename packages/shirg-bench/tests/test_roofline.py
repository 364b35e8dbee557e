"""Counts by hand on a shape small enough to count."""

import pytest

from shirg_bench.roofline import Roof, Shape, binding, floor_us, v2_work, v3_work

TINY = Shape(batch=2, tokens=3, width=4, kept=1, text=5, element_bytes=2)


def test_v3_counts_every_unordered_pair_of_tokens_once_and_launches_it_twice():
    work = v3_work(TINY)
    features, kept, summary, indices, scores = 3 * 4 * 2, 1 * 4 * 2, 4 * 2, 8, 3 * 4
    assert work.bytes == 2 * (features + kept + summary + indices + scores)
    assert work.flops == 2 * (2 * 6 * 4 + 12 * 3 * 4)
    assert work.launched_flops - work.flops == 2 * (2 * 6 * 4)


def test_v2_adds_the_text_the_edges_and_the_regions():
    extra = v2_work(TINY).bytes - v3_work(TINY).bytes
    assert extra == 2 * (5 * 4 * 2 + 3 * 4 + 3 * 8)
    assert v2_work(TINY).flops == 2 * (2 * 3 * 5 * 4 + 12 * 3 * 4)


@pytest.mark.parametrize(("bandwidth", "rate", "roof"), [(1.0, 1e9, "memory"), (1e9, 1.0, "arithmetic")])
def test_the_floor_is_the_lower_ceiling(bandwidth, rate, roof):
    work = v3_work(TINY)
    ceiling = Roof(bandwidth, rate)
    assert binding(work, ceiling) == roof
    expected = work.bytes / bandwidth if roof == "memory" else work.flops / rate
    assert floor_us(work, ceiling) == pytest.approx(1e6 * expected)


def test_production_shapes_sit_where_the_kernels_page_says():
    """v3 at B = 1 is bound by arithmetic on a chip of 4.3 TB/s and 780 TFLOP/s, v2 by memory."""
    roof = Roof(4.3e12, 780e12)
    v3, v2 = v3_work(Shape(1, 2304, 1152, 768)), v2_work(Shape(1, 3645, 1152, 1024, text=48))
    assert (binding(v3, roof), binding(v2, roof)) == ("arithmetic", "memory")
    assert floor_us(v3, roof) == pytest.approx(7.9, abs=0.1)
    assert floor_us(v2, roof) == pytest.approx(2.6, abs=0.1)
