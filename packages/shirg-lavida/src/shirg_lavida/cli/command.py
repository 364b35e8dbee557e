"""The options of `shirg ask`; the other modules of this folder implement them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shirg_core.cli.commands import IMAGE, PAGE
from shirg_lavida.cli.options import OWN, Adapter, Budget, Device, Dtype, Later, Method, Model, Positions, Tower, Views
from shirg_lavida.cli.sampling import PANEL, given, with_sampling_options

_QUIET = "The answer alone on standard output, without progress."


@with_sampling_options
def ask(
    image: Annotated[Path, IMAGE],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="Question about the image.", show_default=False)],
    model: Model = None,
    vision_tower: Tower = None,
    adapter: Adapter = None,
    method: Method = None,
    budget: Budget = None,
    later: Later = None,
    views: Views = None,
    positions: Positions = None,
    page: Annotated[int, PAGE] = 1,
    compare: Annotated[bool, typer.Option("--compare", help="Also answer by pooling and with all tokens.")] = False,
    overlay: Annotated[Path | None, typer.Option("--overlay", "-o", help="Picture of the kept tokens.")] = None,
    json: Annotated[Path | None, typer.Option(help="Machine-readable summary; - is standard output.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help=_QUIET)] = False,
    device: Device = None,
    dtype: Dtype = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Length of the answer.", show_default=OWN, rich_help_panel=PANEL)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Random seed.", show_default="drawn, and in the JSON", rich_help_panel=PANEL)
    ] = None,
    **sampling: Any,
) -> None:
    """Answer QUESTION about IMAGE with a LaViDa whose visual tokens are chosen once, before the first step."""
    # Imported here, so that `shirg --help` waits for no library, and what can be refused without torch not for it.
    from shirg_core.cli.output import check_outputs
    from shirg_core.cli.source import read_image
    from shirg_core.clock import Clock
    from shirg_core.progress import spinner
    from shirg_lavida.cli.paths import check_paths
    from shirg_lavida.cli.request import Request

    request = Request(
        image=image,
        question=question,
        model=model,
        vision_tower=vision_tower,
        adapter=adapter,
        method=method,
        budget=budget,
        later=later,
        views=views,
        positions=positions,
        page=page,
        compare=compare,
        overlay=overlay,
        json=json,
        quiet=quiet,
        device=device,
        dtype=dtype,
        max_new_tokens=max_new_tokens,
        seed=seed,
        sampling=given(sampling),
    )
    request.check()
    check_outputs(image, overlay, json)
    check_paths(model, adapter)
    clock = Clock()
    with clock.stage("image"):
        source = read_image(image, page)
    with spinner("loading PyTorch", quiet=quiet):
        from shirg_lavida.cli.run import run

    run(request, source, clock)
