"""`shirg compare`: several methods on one image, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shirg_core.cli.commands import BUDGET, IMAGE, PAGE


def compare(
    image: Annotated[Path, IMAGE],
    budget: Annotated[str, BUDGET] = "0.3333",
    methods: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated names that `shirg methods` lists.", show_default="eight that run without text"
        ),
    ] = None,
    views: Annotated[str, typer.Option(help="single (48×48 tokens) or anyres (27×27 per view).")] = "single",
    page: Annotated[int, PAGE] = 1,
    seed: Annotated[int | None, typer.Option(help="Random seed of randomised methods.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Picture with one panel per method.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Machine-readable summary; - is standard output.")] = None,
) -> None:
    """Keep K visual tokens of IMAGE by several methods; report ink recall and time. v2 runs with text weight 0."""
    # Imported here, so that `shirg --help` waits for no library, and what cannot be read or written not for torch.
    from shirg_core.cli.methods import COMPARED, check_method, parse_budget
    from shirg_core.cli.output import check_outputs, files_of, print_written, report_console, write_file, write_json
    from shirg_core.cli.source import read_image
    from shirg_core.clock import Clock
    from shirg_core.progress import spinner

    names = list(COMPARED) if methods is None else [name.strip() for name in methods.split(",")]
    for name in names:
        check_method(name, budget)
    check_outputs(image, output, json)
    clock = Clock()
    with clock.stage("load"):
        picture = read_image(image, page).image
    with spinner("loading PyTorch"):
        from shirg_core.cli.comparison import as_json, print_table, run_methods
        from shirg_core.cli.material import prepare

    parsed = parse_budget(budget)
    material = prepare(picture, views, clock)
    results = run_methods(names, parsed, seed, material)
    # Before anything is written: methods that decide their count themselves did not look at it.
    kept = material.budget(parsed)
    if output is not None:
        from shirg_core.plot import Panel, comparison_figure, save_figure

        panels = [Panel(result.caption, result.selection) for result in results]
        title = f"{image.name} · budget {budget} of {material.layout.n_selectable} tokens"
        if len(material.layout.views) > 1:
            title += " · crops shown, base view not"
        figure = comparison_figure(material.image, material.layout, panels, title)
        write_file(output, lambda path: save_figure(figure, path))
    if json is not None:
        write_json(json, as_json(image, page, kept, budget, material, results, clock.timings_ms))
    console = report_console(json)
    print_table(console, results)
    for path in files_of(output, json):
        print_written(console, path)
