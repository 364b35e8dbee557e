import time

import torch

from shirg_core import clock as module
from shirg_core.clock import Clock


def test_laps_are_milliseconds_and_follow_each_other(monkeypatch):
    times = iter([1.0, 1.25, 1.75])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(times))
    clock = Clock(torch.device("cpu"))
    assert [clock.lap(), clock.lap()] == [250.0, 500.0]


def test_stages_are_kept_in_the_order_in_which_they_end(monkeypatch):
    times = iter([0.0, 1.0, 1.0005, 2.0, 2.1234567])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(times))
    clock = Clock()
    for name in ("load", "select"):
        with clock.stage(name):
            pass
    assert clock.timings_ms == {"load": 0.5, "select": 123.457}
    assert list(clock.timings_ms) == ["load", "select"]


def test_work_is_counted_and_waiting_is_not():
    clock = Clock(torch.device("cpu"), work=True)
    time.sleep(0.1)
    assert clock.lap() < 50


def test_a_gpus_queue_is_waited_for_before_the_time_is_read(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    device = torch.device("cuda", 1)
    clock = Clock(device, work=True)
    clock.lap()
    assert waited == [device] * 2
