"""`shirg bench`: what answers cost. Cheap to import: torch and the models come with the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shirg_bench.names import split_names, variant_parts
from shirg_core.cli.commands import QUIET
from shirg_core.cli.methods import check_method
from shirg_core.progress import importing
from shirg_lavida.cli.options import Device, Dtype, Later, Tower
from shirg_lavida.cli.paths import check_paths

_WHAT = "latency, memory, ar (a same-size autoregressive baseline), selection (every method at every shape)."
_MODEL = "random-small (to time LaViDa's grid), random-8b (on a GPU), an embedded model, a folder, or a hub id."
_METHODS = (
    "pooling, baseline, v3-768, v2-1/3, full@single, …: a name that `shirg methods` lists, its budget, its views."
)
_BUDGET = "Budget of methods named without one: a count, 0.25, 1/4 or 25%."


def bench(
    what: Annotated[str, typer.Option(help=_WHAT)] = "latency,memory",
    model: Annotated[str | None, typer.Option(help=_MODEL, show_default="random-small")] = None,
    vision_tower: Tower = None,
    methods: Annotated[str | None, typer.Option(help=_METHODS, show_default="the proposals' table")] = None,
    budget: Annotated[str | None, typer.Option(help=_BUDGET, show_default="512, 768 and 1024")] = None,
    later: Later = None,
    cache: Annotated[str | None, typer.Option(help="The prefix cache: on, off or both.", show_default="both")] = None,
    rounds: Annotated[int | None, typer.Option(help="Number of interleaved rounds.", show_default="3")] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Length of the answer.", show_default="the model's own")
    ] = None,
    step_ratio: Annotated[
        float | None, typer.Option(help="Denoising steps per answer token.", show_default="0.5")
    ] = None,
    device: Device = None,
    dtype: Dtype = None,
    seed: Annotated[int, typer.Option(help="Random seed of weights and of randomised methods.")] = 0,
    json: Annotated[
        Path | None, typer.Option(help="Results file (JSON lines); rows that are measured again are replaced.")
    ] = None,
    quiet: Annotated[bool, QUIET] = False,
) -> None:
    """Measure what answers cost, stage by stage: interleaved rounds, medians, on one CPU thread or a GPU.

    Options that do not apply to --what are rejected: --cache and --step-ratio for ar; --rounds for memory alone; all
    but --rounds, --device, --seed and --json for selection.
    """
    for name in () if methods is None else split_names("--methods", methods):
        check_method(variant_parts(name)[0], variant_parts(name)[1] or budget, "shirg bench")
    if model is not None and model != "micro" and not model.startswith("random-"):
        check_paths(model)
    with importing("loading PyTorch", quiet=quiet):
        from shirg_bench.latency.request import Request
        from shirg_bench.latency.run import run

    options = {
        "model": model,
        "vision_tower": vision_tower,
        "methods": methods,
        "budget": budget,
        "later": later,
        "cache": cache,
        "rounds": rounds,
        "max_new_tokens": max_new_tokens,
        "step_ratio": step_ratio,
        "device": device,
        "dtype": dtype,
        "seed": seed,
        "json": json,
    }
    run(Request.typed(what, options), quiet=quiet)
