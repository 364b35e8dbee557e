"""The Triton kernels on a GPU against the roofline, the reference eager and compiled, and simpler things beside them.

Run with `pytest packages/shirg-bench/benchmarks/bench_kernels.py -m gpu`; records go to `results/kernels.jsonl`. Every
shape is checked against the reference before it is timed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from shirg_bench.memory import peak_workspace_bytes
from shirg_bench.results.provenance import now
from shirg_bench.results.rows import Row, rows_there, write_rows
from shirg_bench.roofline import Roof, Shape, binding, floor_us, v2_work, v3_work
from shirg_core import ViewLayout, shirg_v2, shirg_v3
from shirg_core.methods import METHODS, get_selector
from shirg_core.selection.choose import choose
from shirg_core.versions import versions

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
RESULTS = Path(__file__).parent.parent / "results" / "kernels.jsonl"
WIDTH, TEXT = 1152, 48
PRESETS = {
    "v3": (shirg_v3(768), ViewLayout.single(48, 48), v3_work),
    "v2": (shirg_v2(1024), ViewLayout.anyres(2, 2, 27), v2_work),
}
TARGET_US = 60.0
TARGET_ROOF_SHARE = 0.5
COLD_BYTES = 256 * 1024**2
"""Distinct inputs in one graph, several times an L2 cache, so that a replay reads them from memory."""


def _inputs(preset: str, batch: int, seed: int) -> dict[str, torch.Tensor]:
    _, layout, _ = PRESETS[preset]
    generator = torch.Generator("cuda").manual_seed(seed)
    options = {"device": "cuda", "generator": generator}
    spread = 2 * torch.rand(batch, layout.n_tokens, 1, **options)
    features = torch.randn(batch, layout.n_tokens, WIDTH, **options) + spread * torch.randn(batch, 1, WIDTH, **options)
    given = {"features": features.bfloat16()}
    if preset == "v2":
        given["text"] = torch.randn(batch, TEXT, WIDTH, **options).bfloat16()
        given["edges"] = torch.rand(batch, layout.n_tokens, **options)
    return given


def _call(preset: str, inputs: dict[str, torch.Tensor], impl: str = "triton") -> object:
    selector, layout, _ = PRESETS[preset]
    given = dict(inputs)
    return selector(given.pop("features"), layout, impl=impl, **given)


def _times_us(run: Callable[[], object], calls: int, repeats: int = 50) -> list[float]:
    """Device time of one of the `calls` that `run` makes, `repeats` times."""
    for _ in range(5):
        run()
    marks = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    for start, stop in marks:
        start.record()
        run()
        stop.record()
    torch.cuda.synchronize()
    return [1e3 * start.elapsed_time(stop) / calls for start, stop in marks]


def _graph(calls: list[Callable[[], object]]) -> torch.cuda.CUDAGraph:
    warm = torch.cuda.Stream()
    warm.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(warm):
        for call in calls:
            call()
    torch.cuda.current_stream().wait_stream(warm)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    return graph


def _quantiles(times: list[float], prefix: str) -> dict[str, float]:
    ordered = statistics.quantiles(times, n=20)
    return {f"{prefix}_us": statistics.median(times), f"{prefix}_p05_us": ordered[0], f"{prefix}_p95_us": ordered[-1]}


def _keep(rows: list[Row]) -> None:
    """Add records to the results file, each with the versions and the GPU that its times depend on."""
    properties = torch.cuda.get_device_properties(0)
    driver = Path("/proc/driver/nvidia/version")
    facts = {
        "time": now(),
        **versions(),
        "gpu": properties.name,
        "multiprocessors": properties.multi_processor_count,
        "l2_bytes": properties.L2_cache_size,
        "driver": driver.read_text(encoding="utf-8").splitlines()[0] if driver.is_file() else None,
    }
    write_rows(RESULTS, [*rows_there(RESULTS), *({**facts, **row} for row in rows)])


@pytest.fixture(scope="module")
def roof() -> Roof:
    """This machine's ceilings: a large copy, and a large bfloat16 product on random data."""
    source = torch.randn(2**28, device="cuda")
    target = torch.empty_like(source)
    copy_us = statistics.median(_times_us(lambda: target.copy_(source), 1, 20))
    a, b = (torch.randn(8192, 8192, device="cuda").bfloat16() for _ in range(2))
    product_us = statistics.median(_times_us(lambda: a @ b, 1, 20))
    return Roof(bandwidth=2 * source.nbytes / copy_us * 1e6, flop_rate=2 * 8192**3 / product_us * 1e6)


@pytest.mark.parametrize("batch", [1, 8, 32])
@pytest.mark.parametrize("preset", PRESETS)
def test_kernels(preset, batch, roof):
    selector, layout, work_of = PRESETS[preset]
    shape = Shape(batch, layout.n_tokens, WIDTH, selector.budget, TEXT if preset == "v2" else 0)
    work = work_of(shape)
    sets = max(1, COLD_BYTES // work.bytes)
    inputs = [_inputs(preset, batch, seed) for seed in range(sets)]
    for one in inputs[:2]:
        ours, reference = _call(preset, one), _call(preset, one, "reference")
        assert torch.equal(ours.indices, choose(ours.scores, ours.regions, layout, selector.budget))
        assert (ours.scores - reference.scores).abs().max() <= 2.0**-10
    graph = _graph([lambda one=one: _call(preset, one) for one in inputs])
    replay = _times_us(graph.replay, sets)
    hot = _times_us(_graph([lambda: _call(preset, inputs[0])] * sets).replay, sets)
    eager = _times_us(lambda: _call(preset, inputs[0]), 1)
    floor = floor_us(work, roof)
    record = {
        "benchmark": f"{preset}-{layout.n_tokens}-{selector.budget}",
        "batch": batch,
        "width": WIDTH,
        "dtype": "bfloat16",
        "launches": 6 if preset == "v3" else 5,
        **_quantiles(replay, "replay"),
        **_quantiles(hot, "replay_cached"),
        **_quantiles(eager, "eager"),
        "bytes": work.bytes,
        "flops": work.flops,
        "launched_flops": work.launched_flops,
        "floor_us": floor,
        "binding": binding(work, roof),
        "roof_share": floor / statistics.median(replay),
        "bandwidth_tb_s": roof.bandwidth / 1e12,
        "tflop_s": roof.flop_rate / 1e12,
        "peak_workspace_bytes": peak_workspace_bytes(lambda: _call(preset, inputs[0]), "cuda"),
    }
    _keep([record])
    if "H200" in torch.cuda.get_device_name():
        if batch == 1:
            assert record["replay_us"] <= TARGET_US, record
        if batch == 32:
            assert record["roof_share"] >= TARGET_ROOF_SHARE, record


@pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores")
@pytest.mark.parametrize("preset", PRESETS)
def test_beside_them(preset):
    """The reference eager and compiled, `torch.topk` alone, one cosine matrix, and every exact-K baseline; B = 1."""
    selector, layout, _ = PRESETS[preset]
    inputs, k = _inputs(preset, 1, 0), selector.budget
    compiled = torch.compile(lambda: _call(preset, inputs, "reference"), fullgraph=True)
    scores = torch.rand(1, layout.n_tokens, device="cuda")

    def cosine() -> torch.Tensor:
        unit = torch.nn.functional.normalize(inputs["features"][0], dim=-1)
        return unit @ unit.T

    runs: dict[str, Callable[[], object]] = {
        "reference-eager": lambda: _call(preset, inputs, "reference"),
        "reference-compiled": compiled,
        "topk": lambda: scores.topk(k),
        "cosine": cosine,
    }
    text = {"text": torch.randn(1, TEXT, WIDTH, device="cuda").bfloat16(), "edges": scores, "attention": scores}
    for name in sorted(
        name for name, m in METHODS.items() if m.selector and m.takes_budget and name not in ("v2", "v3", "v3-tower")
    ):
        baseline = get_selector(name, budget=k)
        runs[name] = lambda baseline=baseline: baseline(inputs["features"], layout, **text)
    rows = []
    for name, run in runs.items():
        row = {"benchmark": f"{preset}-{layout.n_tokens}-{k}", "batch": 1, "beside": name}
        rows.append({**row, **_quantiles(_times_us(run, 1, 20), "eager")})
    _keep(rows)
