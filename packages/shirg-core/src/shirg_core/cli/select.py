"""`shirg select`: choose tokens of one image, draw them, report them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shirg_core.cli.commands import BUDGET, IMAGES, PAGES, PICTURE, SILENT, SUMMARY

if TYPE_CHECKING:
    from shirg_core.cli.source import Source
    from shirg_core.clock import Clock


def select(
    images: Annotated[list[Path], IMAGES],
    method: Annotated[str, typer.Option(help="A name that `shirg methods` lists.")] = "v4",
    budget: Annotated[str, BUDGET] = "0.3333",
    views: Annotated[str, typer.Option(help="single (48×48 tokens) or anyres (27×27 per view).")] = "single",
    page: Annotated[str, PAGES] = "1",
    coverage: Annotated[
        str | None,
        typer.Option(help="Regions: cells, clusters, none, or quadtree (no gain in print kept over a preset's own)."),
    ] = None,
    coverage_share: Annotated[float | None, typer.Option(help="Share of the budget for coverage, in [0, 1].")] = None,
    text_weight: Annotated[float | None, typer.Option(help="v2 only. Must be 0: no text without a model.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed of randomised methods.")] = None,
    output: Annotated[Path | None, PICTURE] = None,
    json: Annotated[Path | None, SUMMARY] = None,
    quiet: Annotated[bool, SILENT] = False,
) -> None:
    """Keep K visual tokens of each IMAGE: kept patches clear, dropped ones dimmed, scores beside them."""
    # Imported here, so that `shirg --help` waits for no library, and what cannot be read or written not for torch.
    from shirg_core.cli.batch import Item, find_batch
    from shirg_core.cli.methods import build_selector, check_method, parse_budget
    from shirg_core.cli.output import files_of, print_written, report_console, write_file
    from shirg_core.progress import importing

    check_method(method, budget)
    batch = find_batch(images, page, output, json)
    with importing("loading PyTorch", quiet=quiet):
        from shirg_core.cli.material import prepare
        from shirg_core.cli.report import SCHEMA, Report, headline, print_report
        from shirg_core.methods import get_method

    options = {"coverage": coverage, "coverage_share": coverage_share, "text_weight": text_weight, "seed": seed}
    selector = build_selector(method, parse_budget(budget), options)
    used, console = get_method(method), report_console(json)
    pictures, lines = batch.pictures(), batch.writer(SCHEMA)

    def work(item: Item, source: Source, clock: Clock) -> None:
        material = prepare(source.image, views, clock)
        with clock.stage("select"):
            selection = material.select(selector, on_pixels=used.on_pixels)
        report = Report.of(used.name, budget, material, selection)
        with clock.stage("draw"):
            if item in pictures:
                from shirg_core.plot import save_figure, selection_figure

                figure = selection_figure(material.image, material.layout, selection, headline(report))
                write_file(pictures[item], lambda path: save_figure(figure, path))
        batch.write(lines, report.as_json(item.path, item.page, source.pages, clock.timings_ms))
        if batch.several and not quiet:
            console.print(f"{item}: {headline(report)}", markup=False, highlight=False, soft_wrap=True)
        elif not quiet:
            print_report(console, report, clock.timings_ms, page=source.place(item.page))

    batch.run(work, quiet=quiet)
    for path in () if quiet else files_of(output, json):
        print_written(console, path)
