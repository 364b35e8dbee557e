"""`shirg compare`: several methods on one image, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shirg_core.cli.commands import BUDGET, IMAGES, PAGES, SILENT, SUMMARY

if TYPE_CHECKING:
    from shirg_core.cli.source import Source
    from shirg_core.clock import Clock

_PICTURE = "Picture with one panel per method; of several images, a folder for pictures."


def compare(
    images: Annotated[list[Path], IMAGES],
    budget: Annotated[str, BUDGET] = "0.3333",
    methods: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated names that `shirg methods` lists.", show_default="eight that run without text"
        ),
    ] = None,
    views: Annotated[str, typer.Option(help="single (48×48 tokens) or anyres (27×27 per view).")] = "single",
    page: Annotated[str, PAGES] = "1",
    seed: Annotated[int | None, typer.Option(help="Random seed of randomised methods.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help=_PICTURE)] = None,
    json: Annotated[Path | None, SUMMARY] = None,
    quiet: Annotated[bool, SILENT] = False,
) -> None:
    """Keep K visual tokens of each IMAGE by several methods; report ink recall and time. v2 runs with text weight 0."""
    # Imported here, so that `shirg --help` waits for no library, and what cannot be read or written not for torch.
    from shirg_core.cli.batch import Item, find_batch
    from shirg_core.cli.methods import COMPARED, check_method, parse_budget
    from shirg_core.cli.output import files_of, print_written, report_console, write_file
    from shirg_core.progress import importing

    names = list(COMPARED) if methods is None else [name.strip() for name in methods.split(",")]
    for name in names:
        check_method(name, budget)
    batch = find_batch(images, page, output, json)
    with importing("loading PyTorch", quiet=quiet):
        from shirg_core.cli.comparison import SCHEMA, as_json, print_table, run_methods
        from shirg_core.cli.material import prepare

    parsed, console = parse_budget(budget), report_console(json)
    pictures, lines = batch.pictures(), batch.writer(SCHEMA)

    def work(item: Item, source: Source, clock: Clock) -> None:
        material = prepare(source.image, views, clock)
        results = run_methods(names, parsed, seed, material)
        # Before anything is written: methods that decide their count themselves did not look at it.
        kept = material.budget(parsed)
        if item in pictures:
            from shirg_core.plot import Panel, comparison_figure, save_figure

            panels = [Panel(result.caption, result.selection) for result in results]
            title = f"{item.path.name} · budget {budget} of {material.layout.n_selectable} tokens"
            if len(material.layout.views) > 1:
                title += " · crops shown, base view not"
            figure = comparison_figure(material.image, material.layout, panels, title)
            write_file(pictures[item], lambda path: save_figure(figure, path))
        batch.write(lines, as_json(*item[:2], source.pages, kept, budget, material, results, clock.timings_ms))
        if quiet:
            return
        if batch.several or source.pages > 1:
            where = f"{item.path}, page {item.page} of {source.pages}"
            console.print(where, markup=False, highlight=False, soft_wrap=True)
        print_table(console, results)

    batch.run(work, quiet=quiet)
    for path in () if quiet else files_of(output, json):
        print_written(console, path)
