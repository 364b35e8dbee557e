"""`shirg eval`: tasks of lmms-eval on a LaViDa, with an honest exit code. Cheap to import."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from shirg_bench.names import distinct_names
from shirg_core.cli.commands import QUIET
from shirg_core.cli.errors import BadInput, RunFailed
from shirg_core.cli.methods import check_method
from shirg_core.progress import importing
from shirg_lavida.cli.options import Adapter, Budget, Device, Dtype, Later, Method, Model, Positions, Tower, Views
from shirg_lavida.cli.paths import check_paths

_TASKS = "Names of tasks, groups or patterns with *, separated by commas; lmms-eval's own, too."
_BACKEND = "Evaluate one of lmms-eval's own models, such as qwen2_5_vl, its images pruned; needs --model."
_BACKEND_ARGS = "With --backend: name=value,…, arguments of lmms-eval's model, such as max_pixels=401408."
_GEN = "name=value,…: max_new_tokens, block_length, step_ratio, schedule, schedule__shift, prefix_lm, temperature, …"


def evaluate(
    tasks: Annotated[str, typer.Option(help=_TASKS)] = "shirg_docs",
    model: Model = None,
    backend: Annotated[str | None, typer.Option(help=_BACKEND)] = None,
    backend_args: Annotated[str, typer.Option(help=_BACKEND_ARGS)] = "",
    vision_tower: Tower = None,
    method: Method = None,
    budget: Budget = None,
    later: Later = None,
    views: Views = None,
    adapter: Adapter = None,
    positions: Positions = None,
    limit: Annotated[int | None, typer.Option(help="Questions per task.", show_default="all")] = None,
    batch_size: Annotated[int, typer.Option(help="Questions at once; on a CPU 8 take a third of the time.")] = 1,
    gen_kwargs: Annotated[str, typer.Option(help=_GEN)] = "",
    cache: Annotated[bool, typer.Option(help="Keep the prefix's keys and values.")] = True,
    device: Device = None,
    dtype: Dtype = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of results, samples and the journal.")] = Path(
        "shirg_eval"
    ),
    include_path: Annotated[list[Path] | None, typer.Option(help="Further folders of task files.")] = None,
    processes: Annotated[int, typer.Option(help="Processes that share the questions.", min=1)] = 1,
    quiet: Annotated[bool, QUIET] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be evaluated, and stop.")] = False,
    list_only: Annotated[bool, typer.Option("--list", help="Show this package's tasks and stop.")] = False,
) -> None:
    """Evaluate a model on tasks of lmms-eval. Rerun the command to resume a killed run."""
    if list_only:
        from shirg_bench.lmms.catalogue import print_tasks

        print_tasks()
        return
    names = tuple(name for name in distinct_names(tasks) if name)
    options = {
        "--tasks": ",".join(names),
        "--model": model,
        "--backend": backend,
        "--backend-args": backend_args or None,
        "--vision-tower": vision_tower,
        "--method": method,
        "--budget": budget,
        "--later": later,
        "--views": views,
        "--adapter": adapter,
        "--positions": positions,
        "--limit": limit,
        "--batch-size": batch_size,
        "--gen-kwargs": gen_kwargs or None,
        "--device": device,
        "--dtype": dtype,
        "--seed": seed,
        "--output": output,
    }
    arguments = ["eval", *(part for name, value in options.items() if value is not None for part in (name, str(value)))]
    arguments += [part for folder in include_path or () for part in ("--include-path", str(folder))]
    arguments += [] if cache else ["--no-cache"]
    check_method(method, budget, adaptive=backend is None)
    lavida = {
        "--vision-tower": vision_tower,
        "--later": later,
        "--views": views,
        "--adapter": adapter,
        "--no-cache": not cache or None,
    }
    if backend is None:
        if backend_args:
            raise BadInput("--backend-args are arguments of a --backend, and none is given")
        check_paths(model, adapter)
    else:
        if wrong := next((name for name, value in lavida.items() if value is not None), None):
            raise BadInput(f"{wrong} applies to LaViDa models only, not to --backend {backend}")
        if model is None:
            raise BadInput(f"--backend {backend} needs --model, a folder or a hub id")
    common = {
        "pretrained": model,
        "method": method,
        "budget": budget,
        "positions": positions,
        "batch_size": batch_size,
        "device": device,
        "dtype": dtype,
        "seed": seed,
    }
    with importing("loading lmms-eval", quiet=quiet):
        from shirg_bench.lmms.imports import defer

        # It brings transformers' pipelines, torchvision and torch.compile along, for metrics of the hub.
        defer("evaluate")
        from shirg_bench.lmms.evaluation import Evaluation
        from shirg_bench.lmms.processes import check_gpus, run_processes, shared_by
        from shirg_bench.lmms.session import held, run_session
        from shirg_train.trainer.distributed import LostRankError, speaks_for_its_machine

    evaluation = Evaluation(
        tasks=names,
        output=output,
        model=common
        | (
            {"vision_tower": vision_tower, "later": later, "views": views, "adapter": adapter, "cache": cache}
            if backend is None
            else {"backend": backend, "backend_args": backend_args}
        ),
        limit=limit,
        gen_kwargs=gen_kwargs,
        include=tuple(include_path or ()),
    )
    if dry_run:
        from shirg_bench.lmms.plan import print_plan

        print_plan(evaluation)
        return
    if processes > 1:
        if backend is not None:
            check_gpus(processes)
        # Refused here, an error has its own exit code; from several processes it would be 1.
        evaluation.check()
        with held(output):
            pass
        run_processes(processes, [*arguments, "--quiet"] if quiet else arguments)
        return
    arguments += ["--processes", str(shared_by())] if shared_by() > 1 else []
    try:
        run_session(evaluation, command=shlex.join(["shirg", *arguments]), quiet=quiet)
    except LostRankError as error:
        if not speaks_for_its_machine():
            raise typer.Exit(1) from error
        raise RunFailed(str(error)) from error
