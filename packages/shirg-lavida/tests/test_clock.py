import torch

from shirg_lavida.sampling import clock as module
from shirg_lavida.sampling.clock import Clock


def test_laps_are_milliseconds_and_follow_each_other(monkeypatch):
    times = iter([1.0, 1.25, 1.75])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(times))
    clock = Clock(torch.device("cpu"), synchronise=True)
    assert [clock.lap(), clock.lap()] == [250.0, 500.0]
