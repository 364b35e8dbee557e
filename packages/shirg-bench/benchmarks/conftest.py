"""The `track` fixture: an interleaved ratio, held against the committed baseline and, where there is one, a bar."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
import torch

from shirg_bench.interleave import Ratio, interleaved_ratio
from shirg_bench.tracking import Baselines, regression
from shirg_core.clock import Clock

BASELINES = Baselines(Path(__file__).parent.parent / "baselines" / "cpu.json")
THREAD_TIME = Clock(work=True).now


class Track(Protocol):
    def __call__(
        self,
        name: str,
        ours: Callable[[], object],
        reference: Callable[[], object],
        *,
        bar: float | None = None,
        bar_threads: int = 1,
        bar_reference: Callable[[], object] | None = None,
        pairs: int = 15,
        now: Callable[[], float] = THREAD_TIME,
    ) -> Ratio: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-baselines", action="store_true", help="record the measured ratios as the new baselines")


def pytest_benchmark_update_machine_info(machine_info: dict[str, object]) -> None:
    """Versions and threads beside pytest-benchmark's hardware facts; no host name."""
    machine_info.pop("node", None)
    machine_info.update(torch=torch.__version__, threads=1, python=platform.python_version())


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Thread time on one thread is what other work on the machine disturbs least."""
    with _threads(1):
        yield


@pytest.fixture
def track(benchmark, request) -> Track:
    """Measure `ours / reference`; fail when the committed baseline of `name` is exceeded by 15 %, or `bar` is.

    Tracked is the ratio of thread times on one thread, or by another clock `now`. A bar for more threads is held
    against wall time on as many, and may have a reference of its own.
    """
    update = request.config.getoption("--update-baselines")

    def run(
        name: str,
        ours: Callable[[], object],
        reference: Callable[[], object],
        *,
        bar: float | None = None,
        bar_threads: int = 1,
        bar_reference: Callable[[], object] | None = None,
        pairs: int = 15,
        now: Callable[[], float] = THREAD_TIME,
    ) -> Ratio:
        measured = interleaved_ratio(ours, reference, pairs=pairs, now=now)
        if update:
            BASELINES.write({name: measured.ratio})
        elif regression(name, measured.ratio, BASELINES.read()) is not None:
            # A busy neighbour can spoil one measurement; a regression is there the second time too.
            measured = interleaved_ratio(ours, reference, pairs=2 * pairs, now=now)
            message = regression(name, measured.ratio, BASELINES.read())
            assert message is None, message
        benchmark.pedantic(ours, rounds=3)
        benchmark.extra_info.update(name=name, **measured.as_dict())
        if bar is not None:
            held = measured
            if bar_threads > 1 or bar_reference is not None:
                with _threads(bar_threads):
                    held = interleaved_ratio(ours, bar_reference or reference, pairs=pairs)
            benchmark.extra_info.update(bar=bar, bar_threads=bar_threads, bar_ratio=held.ratio)
            assert held.ratio <= bar, f"{name}: {held} on {bar_threads} threads is above the bar {bar}"
        return measured

    return run
