import time

import pytest

from shirg_bench.interleave import interleaved_ratio


def test_ratio_of_two_sleeps_is_the_ratio_of_their_lengths():
    measured = interleaved_ratio(lambda: time.sleep(0.02), lambda: time.sleep(0.01), pairs=5, warmup=0)
    assert 1.7 < measured.ratio < 2.2
    assert measured.ratio_q1 <= measured.ratio <= measured.ratio_q3
    assert measured.ours_ms > 20
    assert measured.reference_ms > 10


def test_runs_alternate_and_warmup_is_not_counted():
    calls: list[str] = []
    measured = interleaved_ratio(lambda: calls.append("a"), lambda: calls.append("b"), pairs=3, warmup=1)
    assert calls == ["a", "b"] * 4
    assert measured.pairs == 3


def test_too_few_pairs():
    with pytest.raises(ValueError, match="pairs must be ≥ 2, got 1"):
        interleaved_ratio(lambda: None, lambda: None, pairs=1)


def test_the_clock_can_be_any():
    ticks = iter(range(100))
    measured = interleaved_ratio(lambda: next(ticks), lambda: None, pairs=2, warmup=0, now=lambda: float(next(ticks)))
    assert measured.ratio == 2.0
