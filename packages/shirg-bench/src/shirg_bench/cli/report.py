"""`shirg report`: one page with all results. Cheap to import: plots and the model are imported by the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shirg_bench.names import split_names
from shirg_core.cli.commands import QUIET
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.progress import importing, progress_bar

CHECKOUT_RESULTS = Path(__file__).parents[3] / "results"
"""Results lie outside of the package: a checkout has them, an installed wheel does not."""
STEPS, OF_EXAMPLES = 9, 3


def report(
    results: Annotated[
        Path | None, typer.Option(help="Folder of results files.", show_default="the checkout's results")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pages and their pictures.")] = Path(
        "report"
    ),
    formats: Annotated[str, typer.Option("--format", help="html, md, or both.")] = "html,md",
    examples: Annotated[
        bool, typer.Option(help="Run the embedded model for examples and the explorer (a minute).")
    ] = True,
    quiet: Annotated[bool, QUIET] = False,
) -> None:
    """Write plots, tables, examples and the claims ledger as one HTML page and one Markdown page."""
    folder = _results_folder(results)
    named = split_names("--format", formats)
    with importing("loading PyTorch", quiet=quiet):
        from shirg_bench.report.build import build_report
    with progress_bar(quiet=quiet) as progress:
        task = progress.add_task("", total=STEPS if examples else STEPS - OF_EXAMPLES, completed=-1)

        def advance(what: str) -> None:
            progress.update(task, advance=1, description=what)

        with bad_input(ValueError, OSError):
            pages = build_report(folder, output, named, examples=examples, report=advance)
    for page in pages:
        typer.echo(f"written  {page}")


def _results_folder(given: Path | None) -> Path:
    if given is None and not CHECKOUT_RESULTS.is_dir():
        raise BadInput("no results: this is not a checkout, so --results must name a folder of results files")
    folder = CHECKOUT_RESULTS if given is None else given
    if not folder.is_dir():
        raise BadInput(f"--results must be a folder of results files, got {folder}")
    return folder
