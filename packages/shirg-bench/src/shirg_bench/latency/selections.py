"""Selection alone: every method at every shape, beside one plain float32 product of all tokens with all tokens."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from shirg_bench.latency.checks import CheckError
from shirg_bench.latency.quiet import quiet_profiler
from shirg_bench.memory import peak_workspace_bytes
from shirg_core.clock import Clock
from shirg_core.layout import ViewLayout
from shirg_core.methods import METHODS
from shirg_core.progress import Report
from shirg_core.selection import Selection

WIDTH, TEXT_TOKENS = 1152, 32
LAYOUTS = (ViewLayout.anyres(2, 2, 27), ViewLayout.single(48, 48))
"""LaViDa's five views, and SHIRG-v3's one."""
BUDGETS = (512, 768, 1024)
CELLS = len(LAYOUTS) * len(BUDGETS)


def selections(
    device: torch.device, rounds: int, seed: int, report: Report = lambda _: None
) -> Iterator[list[dict[str, Any]]]:
    """Time all methods in turn on the same random features; the table as it stands, after every shape.

    Lines have `method`, `tokens`, `budget` (None: the method decides), `kept`, `select_ms`, `ratio_to_cosine` (the
    product's time in the same rounds) and `peak_bytes`.

    Raises:
        CheckError: a method did not keep what it was asked to.
    """
    rows: list[dict[str, Any]] = []
    for layout in LAYOUTS:
        inputs = _inputs(layout.n_tokens, device, seed)
        for budget in BUDGETS:
            report(f"selection: {layout.n_tokens} to {budget}")
            rows += _cell(layout, budget, inputs, rounds, seed, first=budget == BUDGETS[0])
            yield rows


def _cell(
    layout: ViewLayout, budget: int, inputs: dict[str, Tensor], rounds: int, seed: int, *, first: bool
) -> list[dict[str, Any]]:
    """One shape and budget; methods that decide their count themselves run with the `first` budget only."""
    device = inputs["features"].device
    now = Clock(device, work=True).now
    lines: dict[str, dict[str, Any]] = {}
    runs: dict[str, Callable[[], Selection]] = {}
    for name, method in METHODS.items():
        if method.selector is None or not (method.takes_budget or first):
            continue
        selector = method.build(**method.accepted(budget=budget, seed=seed))
        names = ("text", "edges", *(("attention",) if method.tower_attention else ()))
        given: dict[str, Any] = {each: inputs[each] for each in names}
        runs[name] = partial(selector, inputs["features"], layout, **given)
        kept = runs[name]().indices.shape[1]
        asked = budget if method.takes_budget else None
        if asked is not None and kept != asked:
            raise CheckError(f"{name} was asked for {asked} of {layout.n_tokens} tokens and kept {kept}")
        with quiet_profiler():
            peak = peak_workspace_bytes(runs[name], device)
        lines[name] = {"method": name, "tokens": layout.n_tokens, "budget": asked, "kept": kept, "peak_bytes": peak}
    reference: list[float] = []
    ms: dict[str, list[float]] = {name: [] for name in runs}
    _cosine(inputs["features"])
    for _ in range(rounds):
        start = now()
        _cosine(inputs["features"])
        reference.append(now() - start)
        for name, run in runs.items():
            start = now()
            run()
            ms[name].append(now() - start)
    for name, line in lines.items():
        ratio = statistics.median(a / b for a, b in zip(ms[name], reference, strict=True))
        line |= {"select_ms": statistics.median(ms[name]), "ratio_to_cosine": ratio, "rounds": rounds}
    return list(lines.values())


def _inputs(tokens: int, device: torch.device, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    given = {
        "features": torch.randn(1, tokens, WIDTH, generator=generator, dtype=torch.float32),
        "text": torch.randn(1, TEXT_TOKENS, WIDTH, generator=generator, dtype=torch.float32),
        "edges": torch.rand(1, tokens, generator=generator, dtype=torch.float32),
        "attention": torch.rand(1, tokens, generator=generator, dtype=torch.float32),
    }
    return {name: value.to(device) for name, value in given.items()}


def _cosine(features: Tensor) -> Tensor:
    unit = torch.nn.functional.normalize(features[0].float(), dim=-1)
    return unit @ unit.T
