"""Peak memory of a computation: what it allocates beyond the tensors that exist before it starts."""

from __future__ import annotations

from collections.abc import Callable

import torch


def peak_workspace_bytes(run: Callable[[], object], device: torch.device | str = "cpu") -> int:
    """Largest number of bytes allocated at one moment during `run`, results included.

    On a CPU the allocator's events are summed up by the profiler; on a GPU the caching allocator's own counter is read.

    Args:
        run: the computation, warmed up by the caller.
        device: where it runs.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        held = run()
    events = profile.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), i, e.nbytes()) for i, e in enumerate(events) if e.name() == "[memory]")
    del held
    total = peak = 0
    for _, _, change in changes:
        total += change
        peak = max(peak, total)
    return peak
