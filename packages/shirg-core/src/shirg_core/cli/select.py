"""`shirg select`: choose tokens of one image, draw them, report them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shirg_core.cli.commands import BUDGET, IMAGE, PAGE


def select(
    image: Annotated[Path, IMAGE],
    method: Annotated[str, typer.Option(help="A name that `shirg methods` lists.")] = "v4",
    budget: Annotated[str, BUDGET] = "0.3333",
    views: Annotated[str, typer.Option(help="single (48×48 tokens) or anyres (27×27 per view).")] = "single",
    page: Annotated[int, PAGE] = 1,
    coverage: Annotated[str | None, typer.Option(help="Regions: cells, clusters, quadtree or none.")] = None,
    coverage_share: Annotated[float | None, typer.Option(help="Share of the budget for coverage, in [0, 1].")] = None,
    text_weight: Annotated[float | None, typer.Option(help="v2 only. Must be 0: no text without a model.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed of randomised methods.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Picture of what was kept.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Machine-readable summary; - is standard output.")] = None,
) -> None:
    """Keep K visual tokens of IMAGE: kept patches clear, dropped ones dimmed, scores beside them."""
    # Imported here, so that `shirg --help` waits for no library, and what cannot be read or written not for torch.
    from shirg_core.cli.methods import build_selector, check_method, parse_budget
    from shirg_core.cli.output import check_outputs, files_of, print_written, report_console, write_file, write_json
    from shirg_core.cli.source import read_image
    from shirg_core.clock import Clock
    from shirg_core.progress import spinner

    check_method(method, budget)
    check_outputs(image, output, json)
    clock = Clock()
    with clock.stage("load"):
        picture = read_image(image, page).image
    with spinner("loading PyTorch"):
        from shirg_core.cli.material import prepare
        from shirg_core.cli.report import Report, headline, print_report
        from shirg_core.methods import get_method

    options = {"coverage": coverage, "coverage_share": coverage_share, "text_weight": text_weight, "seed": seed}
    selector = build_selector(method, parse_budget(budget), options)
    used, material = get_method(method), prepare(picture, views, clock)
    with clock.stage("select"):
        selection = material.select(selector, on_pixels=used.on_pixels)
    report = Report.of(used.name, budget, material, selection)
    with clock.stage("draw"):
        if output is not None:
            from shirg_core.plot import save_figure, selection_figure

            figure = selection_figure(material.image, material.layout, selection, headline(report))
            write_file(output, lambda path: save_figure(figure, path))
    if json is not None:
        write_json(json, report.as_json(image, page, clock.timings_ms))
    console = report_console(json)
    print_report(console, report, clock.timings_ms)
    for path in files_of(output, json):
        print_written(console, path)
