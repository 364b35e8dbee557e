"""The kernels in a CUDA graph: capture, replay on new data, no synchronisation, no growth; and under a sanitizer."""

import shutil
import subprocess
import sys

import pytest
import torch

from shirg_core import ViewLayout, shirg_v2, shirg_v3, shirg_v4

from ..kernel_parity import Case

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
PRESETS = {
    "v3": Case(shirg_v3, ViewLayout.single(48, 48), 768, torch.bfloat16, width=1152),
    "v2": Case(shirg_v2, ViewLayout.anyres(2, 2, 27), 1024, torch.bfloat16, width=1152),
    "v4": Case(shirg_v4, ViewLayout.single(48, 48), 768, torch.bfloat16, width=1152),
}


def caller(case):
    x, more = case.inputs(torch.device("cuda"))
    selector = case.method(case.k, **case.knobs)
    return x, lambda: selector(x, case.layout, impl="triton", **more)


def captured(run):
    warm = torch.cuda.Stream()
    warm.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(warm):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(warm)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        selection = run()
    return graph, selection


@pytest.mark.parametrize("preset", PRESETS)
def test_a_replay_selects_from_what_the_input_holds_now(preset):
    x, run = caller(PRESETS[preset])
    graph, selection = captured(run)
    for seed in range(3):
        new = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)) * torch.rand(1, x.shape[1], 1)
        x.copy_(new)
        graph.replay()
        eager = run()
        for name in ("indices", "scores", "regions", "kept", "summary"):
            assert torch.equal(getattr(selection, name), getattr(eager, name)), name


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("preset", PRESETS)
def test_nothing_waits_for_the_device(preset):
    _, run = caller(PRESETS[preset])
    run()
    torch.cuda.synchronize()
    try:
        torch.cuda.set_sync_debug_mode("error")
        run()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_thousand_replays_and_calls_allocate_nothing_more(preset):
    _, run = caller(PRESETS[preset])
    graph, _ = captured(run)
    for repeat in (graph.replay, run):
        for _ in range(3):
            repeat()
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
        for _ in range(1000):
            repeat()
        torch.cuda.synchronize()
        assert (torch.cuda.memory_allocated(), torch.cuda.memory_reserved()) == before


def test_auto_means_the_kernels():
    from shirg_core.selection import preset, triton

    assert preset.backend("auto", torch.zeros(1, device="cuda")) is triton.select


SANITIZED = """
import torch
from shirg_core import View, ViewLayout, shirg_v2, shirg_v3, shirg_v4
layout = ViewLayout(views=[View(9, 11, valid=torch.arange(99).view(9, 11) % 11 > 1), View(6, 7)])
for dtype in (torch.bfloat16, torch.float32):
    x = torch.randn(2, layout.n_tokens, 72, device="cuda", dtype=dtype, requires_grad=True)
    text, edges = torch.randn(2, 5, 72, device="cuda", dtype=dtype), torch.rand(2, layout.n_tokens, device="cuda")
    for chosen in (
        shirg_v3(40)(x, layout, impl="triton"),
        shirg_v2(40)(x, layout, text=text, edges=edges, impl="triton"),
        shirg_v4(40)(x, layout, text=text, edges=edges, impl="triton"),
    ):
        torch.autograd.grad(chosen.tokens.float().sum(), x)
torch.cuda.synchronize()
"""


@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "synccheck"])
def test_the_sanitizer_finds_nothing(tool):
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        pytest.skip("compute-sanitizer is not installed")
    command = [sanitizer, "--tool", tool, "--error-exitcode", "9", sys.executable, "-c", SANITIZED]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if "Device not supported" in done.stdout:
        pytest.skip("compute-sanitizer does not support this device")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
