"""The `track` fixture: an interleaved ratio, held against a bar and against the committed baseline."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
import torch

from shirg_bench.interleave import Ratio, interleaved_ratio
from shirg_bench.tracking import Baselines, regression

BASELINES = Baselines(Path(__file__).parent.parent / "baselines" / "cpu.json")
THREADS = 2


class Track(Protocol):
    def __call__(
        self, name: str, ours: Callable[[], object], reference: Callable[[], object], *, bar: float | None = None
    ) -> Ratio: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-baselines", action="store_true", help="record the measured ratios as the new baselines")


def pytest_benchmark_update_machine_info(machine_info: dict[str, object]) -> None:
    """Versions and threads beside pytest-benchmark's hardware facts; no host name."""
    machine_info.pop("node", None)
    machine_info.update(torch=torch.__version__, threads=torch.get_num_threads(), python=platform.python_version())


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def track(benchmark, request) -> Track:
    """Measure `ours / reference`; fail above `bar`, or when the committed baseline of `name` is exceeded by 15 %."""
    update = request.config.getoption("--update-baselines")

    def run(
        name: str, ours: Callable[[], object], reference: Callable[[], object], *, bar: float | None = None
    ) -> Ratio:
        measured = interleaved_ratio(ours, reference)
        benchmark.pedantic(ours, rounds=5, warmup_rounds=1)
        if update:
            BASELINES.write({name: measured.ratio})
        else:
            message = regression(name, measured.ratio, BASELINES.read())
            if message is not None:
                # A busy neighbour can spoil one measurement; a regression is there the second time too.
                measured = interleaved_ratio(ours, reference, pairs=30)
                message = regression(name, measured.ratio, BASELINES.read())
            assert message is None, message
        benchmark.extra_info.update(name=name, **measured.as_dict())
        if bar is not None:
            benchmark.extra_info["bar"] = bar
            assert measured.ratio <= bar, f"{name}: {measured} is above the bar {bar}"
        return measured

    return run
