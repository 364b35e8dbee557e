"""`shirg ablate`: accuracy against budget, and every ablation. Cheap to import: torch comes with the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shirg_bench.accuracy.methods import table_method
from shirg_bench.names import distinct_names
from shirg_core.cli.commands import QUIET
from shirg_core.cli.errors import bad_input
from shirg_core.progress import importing
from shirg_lavida.cli.paths import check_paths

_WHAT = (
    "budget, kinds, adaptive, coverage, beta, terms, alpha, summary, regions, parts, positions, newline, "
    "adapter, adapted, lowres, cache, late, views, "
    "views-variance, learned."
)


def ablate(
    what: Annotated[str | None, typer.Option(help=f"Some of: {_WHAT}", show_default="all of them")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Folder of a micro model, or micro (frozen tower, as the recorded tables), micro-joint, micro-full.",
            show_default="micro",
        ),
    ] = None,
    adapter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FOLDER", help="LoRA to compare; can be repeated.")
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="learned only. Output folder of a micro training run that began with --model; can be repeated.",
        ),
    ] = None,
    pages: Annotated[int, typer.Option(min=1, help="Unseen pages per tier, four questions each.")] = 256,
    tiers: Annotated[str, typer.Option(help="Pages: plain, cluttered, or both.")] = "plain,cluttered",
    regime: Annotated[
        str | None,
        typer.Option(help="How the model was trained, for the record.", show_default="frozen tower, of micro"),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(help="Methods of the budget table, names that `shirg methods` lists.", show_default="all of them"),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Budget of the adaptive table: auto, or auto:LOW-HIGH such as auto:0.08-0.5.", show_default="auto"
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Pages: test, or valid, on which to calibrate.")] = "test",
    seed: Annotated[int, typer.Option(help="Random seed of randomised methods.")] = 0,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of results; rows of other tables stay.")
    ] = Path("ablations"),
    chunks: Annotated[
        Path | None, typer.Option(help="Folder for answers, kept for the next run.", show_default="OUTPUT/chunks")
    ] = None,
    quiet: Annotated[bool, QUIET] = False,
) -> None:
    """Measure exact match against budget, and what each part of the method is worth, on the same unseen pages.

    Rerun the command to resume a killed run.
    """
    with bad_input(ValueError, prefix="--methods: "):
        for name in () if methods is None else distinct_names(methods):
            table_method(name)
    check_paths(model, *(named.partition("=")[2] or None for named in adapter or ()), default="micro")
    with importing("loading PyTorch", quiet=quiet):
        from shirg_bench.accuracy.command import run_ablations
        from shirg_bench.accuracy.options import AblateOptions

    asked = AblateOptions(
        what=what,
        model=model,
        adapters=tuple(adapter or ()),
        runs=tuple(run or ()),
        pages=pages,
        tiers=distinct_names(tiers),
        regime=regime,
        methods=methods,
        budget=budget,
        split=split,
        seed=seed,
        output=output,
        chunks=chunks or output / "chunks",
    )
    typer.echo(run_ablations(asked, quiet=quiet))
