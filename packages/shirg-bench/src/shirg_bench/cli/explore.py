"""`shirg explore`: a page to look at selections and answers. Cheap to import: torch and the model come with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shirg_bench.explore.request import BUDGETS, Request
from shirg_core.cli.commands import PAGE, QUIET
from shirg_core.cli.errors import bad_input
from shirg_lavida.cli.options import OWN, Adapter, Device, Dtype, Model, Tower

_IMAGES = "One or more, or folders of them: PNG, JPEG, WebP, TIFF, BMP, GIF, PPM or PDF; - is standard input."
_QUESTION = "Question for a model about every image, or given once for each. Without one the page has no answers."
_ANSWER = "Expected answer, for the marks right and wrong; once, or once for each image."
_VIEWS = "How images are cut. Without a question: single (48×48 tokens) or anyres (27×27 per view)."
_READER = "Let a real reader (PP-OCRv6) read what was kept: seconds for each method and budget, single views only."


def explore(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help=_IMAGES, show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page; - is standard output.")] = Path(
        "explorer.html"
    ),
    question: Annotated[list[str] | None, typer.Option(help=_QUESTION)] = None,
    answer: Annotated[list[str] | None, typer.Option(help=_ANSWER)] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated names that `shirg methods` lists.", show_default="v4, v3, v2 and what to compare with"
        ),
    ] = None,
    budgets: Annotated[
        str,
        typer.Option(
            help="Stops of the slider, comma-separated: counts, 0.25, 1/4 or 25%.", show_default="twelve, 1/24 to 100%"
        ),
    ] = BUDGETS,
    views: Annotated[str | None, typer.Option(help=_VIEWS, show_default=f"single, or {OWN}")] = None,
    model: Model = None,
    vision_tower: Tower = None,
    adapter: Adapter = None,
    device: Device = None,
    dtype: Dtype = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Length of the answer.", show_default=OWN)] = None,
    page: Annotated[int, PAGE] = 1,
    reader: Annotated[bool, typer.Option("--reader", help=_READER)] = False,
    seed: Annotated[int, typer.Option(help="Random seed of randomised methods.")] = 0,
    quiet: Annotated[bool, QUIET] = False,
) -> None:
    """Write one HTML page to explore what methods keep of IMAGE at every budget, patch by patch, and the answers.

    The page needs no server and no network. v2 runs with text weight 0 without a question.
    """
    # Imported here, so that `shirg --help` waits for no library, and what cannot be read or written not for torch.
    from shirg_core.cli.output import STANDARD, check_outputs, print_written, report_console
    from shirg_core.cli.source import image_files, read_image
    from shirg_core.files import write_text
    from shirg_core.progress import importing
    from shirg_lavida.cli.paths import check_paths

    files = [file for image in images for file in image_files(image)]
    request = Request(
        images=files,
        questions=question or (),
        answers=answer or (),
        methods=methods,
        budgets=budgets,
        views=views,
        model=model,
        vision_tower=vision_tower,
        adapter=adapter,
        device=device,
        dtype=dtype,
        max_new_tokens=max_new_tokens,
        page=page,
        reader=reader,
        seed=seed,
    )
    for image in files:
        check_outputs(image, None, output)
    if request.questions:
        check_paths(model, adapter)
    pictures = [read_image(image, page).image for image in files]
    with importing("loading PyTorch", quiet=quiet):
        from shirg_bench.explore.command import run
    html = run(request, pictures, quiet=quiet)
    if output == STANDARD:
        typer.echo(html, nl=False)
        return
    with bad_input(OSError, prefix=f"cannot write {output}: "):
        write_text(output, html)
    print_written(report_console(None), output)
